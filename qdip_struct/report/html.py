"""One static HTML page: no script, no network, figures as inline SVG; every text is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

_CSS = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1e21; background: #fff;
  margin: 0 auto; padding: 1rem; max-width: 60rem; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid #c9ccd1; }
h3 { font-size: 1.05rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.92rem; }
caption { text-align: left; color: #44484e; padding-bottom: 0.3rem; }
th, td { padding: 0.25rem 0.7rem 0.25rem 0; text-align: left; border-bottom: 1px solid #e3e5e8; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { width: 100%; min-width: 30rem; max-width: 56rem; height: auto; }
figcaption { color: #44484e; font-size: 0.92rem; }
.warning, .note { padding: 0.5rem 0.8rem; margin: 0.6rem 0; overflow-wrap: anywhere; }
.warning { border-left: 0.3rem solid #b3261e; background: #fdf1f0; }
.note { border-left: 0.3rem solid #2f5fa8; background: #eff4fb; }
@media print {
  body { max-width: none; }
  h2, h3 { break-after: avoid; }
  figure, table { break-inside: avoid; }
}
"""


@dataclass
class Page:
    """A page that grows from top to bottom; ``text`` gives the finished HTML."""

    title: str
    parts: list[str] = field(default_factory=list)

    def heading(self, text: str, *, level: int = 2) -> None:
        """A heading of level 2 or 3."""
        self.parts.append(f"<h{level}>{escape(text)}</h{level}>")

    def paragraph(self, text: str) -> None:
        """A paragraph of plain text."""
        self.parts.append(f"<p>{escape(text)}</p>")

    def warning(self, text: str) -> None:
        """Something the reader must know before believing the rest."""
        self.parts.append(f'<p class="warning"><strong>Warning:</strong> {escape(text)}</p>')

    def note(self, text: str) -> None:
        """Something the reader should know."""
        self.parts.append(f'<p class="note">{escape(text)}</p>')

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str) -> None:
        """A table; numbers stand to the right, ``None`` shows as a dash."""
        body = [["–" if cell is None else str(cell) for cell in row] for row in rows]
        right = [bool(body) and all(_is_number(row[i]) for row in body) for i in range(len(header))]

        def cells(row: Sequence[str], tag: str) -> str:
            scope = ' scope="col"' if tag == "th" else ""
            return "".join(
                f"<{tag}{scope}{' class=' + chr(34) + 'number' + chr(34) if r else ''}>{escape(cell)}</{tag}>"
                for cell, r in zip(row, right, strict=True)
            )

        lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
        label = escape(caption)
        self.parts.append(
            f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><caption>{label}</caption>'
            f"<thead><tr>{cells(list(header), 'th')}</tr></thead><tbody>{lines}</tbody></table></div>"
        )

    def figure(self, svg: str, *, caption: str, alt: str) -> None:
        """An inline SVG with a caption below it and a description for those who cannot see it."""
        drawn = svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
        self.parts.append(f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>")

    def text(self) -> str:
        """The whole page."""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<link rel="icon" href="data:,">\n'
            f"<title>{escape(self.title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n<main>\n"
            f"<h1>{escape(self.title)}</h1>\n" + "\n".join(self.parts) + "\n</main>\n</body>\n</html>\n"
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace("\u2212", "-").rstrip(" %"))
    except ValueError:
        return cell in ("–", "")
    return True
