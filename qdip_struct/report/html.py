"""One static HTML page: no script, no network, figures as inline SVG; every text is escaped."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any

from qdip_struct.report.style import CSS

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Content security policy of every page: a browser refuses to load anything from anywhere for it."""

_CONTENTS = object()
_IDENTIFIER = re.compile(r'\bid="([^"]+)"')


class Markup(str):
    """Text that is HTML already, for a cell of a table; everything else is escaped."""


@dataclass
class Page:
    """A page that grows from top to bottom; ``text`` gives the finished HTML.

    Attributes
    ----------
    title
        Plain text.
    parts
        HTML so far.
    sections
        Identifier and text of each heading of level 2.
    n_figures, n_drawings
        How many so far, for their numbers and identifiers.
    """

    title: str
    parts: list[Any] = field(default_factory=list)
    sections: list[tuple[str, str]] = field(default_factory=list)
    n_figures: int = 0
    n_drawings: int = 0

    def heading(self, text: str, *, level: int = 2) -> None:
        """A heading of level 2 (listed in the contents) or 3."""
        name = ""
        if level == 2:
            name = f' id="part-{len(self.sections) + 1}"'
            self.sections.append((f"part-{len(self.sections) + 1}", text))
        self.parts.append(f"<h{level}{name}>{escape(text)}</h{level}>")

    def contents(self) -> None:
        """Links to all headings of level 2, those to come included."""
        self.parts.append(_CONTENTS)

    def paragraph(self, text: str) -> None:
        """A paragraph of plain text."""
        self.parts.append(f"<p>{escape(text)}</p>")

    def listing(self, items: Iterable[str]) -> None:
        """A list of plain texts."""
        self.parts.append(f'<ul class="answers">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>')

    def warning(self, text: str) -> None:
        """Something the reader must know before believing the rest."""
        self.parts.append(f'<p class="warning"><strong>Warning:</strong> {escape(text)}</p>')

    def note(self, text: str) -> None:
        """Something the reader should know."""
        self.parts.append(f'<p class="note">{escape(text)}</p>')

    @contextmanager
    def folded(self, summary: str) -> Iterator[None]:
        """What is added inside is folded away behind one line, and unfolded on paper."""
        self.parts.append(f"<details><summary>{escape(summary)}</summary>")
        yield
        self.parts.append("</details>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str) -> None:
        """A table; numbers stand to the right, ``None`` shows as a dash, :class:`Markup` is taken as it is."""
        body = [["–" if cell is None else cell for cell in row] for row in rows]
        right = [bool(body) and all(_is_number(str(row[i])) for row in body) for i in range(len(header))]

        def cells(row: Sequence[Any], tag: str) -> str:
            scope = ' scope="col"' if tag == "th" else ""
            return "".join(
                f"<{tag}{scope}{' class=' + chr(34) + 'number' + chr(34) if r else ''}>{_cell(cell, number=r)}</{tag}>"
                for cell, r in zip(row, right, strict=True)
            )

        lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
        label = escape(caption)
        self.parts.append(
            f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><caption>{label}</caption>'
            f"<thead><tr>{cells(list(header), 'th')}</tr></thead><tbody>{lines}</tbody></table></div>"
        )

    def figure(self, svg: str, *, caption: str, alt: str) -> None:
        """An inline SVG with a numbered caption below it and a description for those who cannot see it."""
        self.n_figures += 1
        drawn = self._own_names(svg).replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
        self._figure(
            f'<div class="plot" tabindex="0" role="group" aria-label="{escape(caption)}">{drawn}</div>', caption
        )

    def panels(self, panels: Sequence[tuple[str, str]], *, caption: str, key: str = "") -> None:
        """Several inline SVGs beside one another (below one another on a narrow screen): each with its description.

        ``key`` is HTML that explains colours.
        """
        self.n_figures += 1
        drawn = "".join(
            self._own_names(svg).replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
            for svg, alt in panels
        )
        self._figure(f'<div class="panels">{drawn}</div>', caption, after=key)

    def _figure(self, content: str, caption: str, *, after: str = "") -> None:
        text = f"Figure {self.n_figures}. {escape(caption)}"
        self.parts.append(f"<figure>{content}<figcaption>{text}{after}</figcaption></figure>")

    def _own_names(self, svg: str) -> str:
        """The SVG with identifiers of its own: those nothing refers to are dropped, the others carry the number."""
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
        self.n_drawings += 1
        prefix = f"d{self.n_drawings}-"
        svg = _IDENTIFIER.sub(lambda m: f'id="{prefix}{m[1]}"' if m[1] in used else "", svg)
        return re.sub(r'(href="#|url\(#)([^")]+)', rf"\g<1>{prefix}\g<2>", svg)

    def text(self) -> str:
        """The whole page."""
        links = "".join(f'<li><a href="#{name}">{escape(text)}</a></li>' for name, text in self.sections)
        contents = f'<nav aria-label="On this page"><ul>{links}</ul></nav>'
        parts = "\n".join(contents if part is _CONTENTS else part for part in self.parts)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<link rel="icon" href="data:,">\n'
            f"<title>{escape(self.title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
            f"<h1>{escape(self.title)}</h1>\n{parts}\n</main>\n</body>\n</html>\n"
        )


def _cell(cell: Any, *, number: bool) -> str:
    if isinstance(cell, Markup):
        return str(cell)
    return escape(str(cell).replace("-", "\u2212", 1) if number and str(cell).startswith("-") else str(cell))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace("\u2212", "-").rstrip(" %"))
    except ValueError:
        return cell in ("–", "")
    return True
