"""One static HTML page, its words and numbers: no script, no network, figures as inline SVG; every text is escaped.

One style sheet serves light and dark, screen and paper, wide and 400 px. Text colours stand at 4.5 : 1 or more on every
ground they are used on (WCAG 2.2, AA). Figures keep a white ground in the dark, for their own colours are made for
paper.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any

MANY = 12
"""Up to so many items of a kind are shown in full; the rest are folded away or left to a table."""


def fixed(value: float | None, digits: int = 2, *, sign: bool = False) -> str | None:
    """A number with so many decimals, without a sign on zero; ``None`` stays."""
    if value is None:
        return None
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"


def percent(fraction: float | None, digits: int) -> str | None:
    """A fraction in percent; ``None`` stays."""
    return None if fraction is None else fixed(100 * fraction, digits)


def atoms_text(counts: Mapping[str, int]) -> str:
    """Atoms of each element."""
    return " ".join(f"{element}{count}" for element, count in counts.items())


def shares(weights: Mapping[str, Any], *, digits: int = 2) -> str:
    """Weights by region."""
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in weights.items())


def count_of(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


LIGHT_THEME = {
    "ground": "#ffffff",
    "text": "#1c1e21",
    "quiet": "#4a4e55",
    "line": "#d5d8dc",
    "link": "#1a4f9c",
    "warning-ground": "#fdf1f0",
    "warning-edge": "#b3261e",
    "note-ground": "#eff4fb",
    "note-edge": "#2f5fa8",
}
DARK = {
    "ground": "#16181c",
    "text": "#e9e7e4",
    "quiet": "#b6bac1",
    "line": "#3d4148",
    "link": "#93bbf9",
    "warning-ground": "#3b1c1a",
    "warning-edge": "#f0857d",
    "note-ground": "#1a2739",
    "note-edge": "#7fa9e8",
}
ON = {
    "text": ("ground", "warning-ground", "note-ground"),
    "quiet": ("ground",),
    "link": ("ground",),
}
"""Which colour of text stands on which grounds."""

_RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--text); background: var(--ground);
  margin: 0 auto; padding: 1rem clamp(0.75rem, 4vw, 2rem) 3rem; max-width: 62rem; overflow-wrap: break-word; }
h1 { font-size: 1.65rem; line-height: 1.25; margin: 0.6rem 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 0.8rem; padding-bottom: 0.2rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.08rem; margin: 1.8rem 0 0.5rem; }
p { margin: 0.6rem 0; max-width: 46rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
nav ul { list-style: none; padding: 0; margin: 1rem 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; }
nav li { margin: 0; }
.answers { padding-left: 1.2rem; max-width: 46rem; }
.answers li { margin: 0.3rem 0; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.92rem; }
caption { text-align: left; color: var(--quiet); padding-bottom: 0.3rem; }
th, td { padding: 0.28rem 0.9rem 0.28rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
th { font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td svg { display: block; background: #ffffff; border-radius: 2px; }
figure { margin: 1.2rem 0; }
.panels { display: flex; flex-wrap: wrap; gap: 0.8rem; align-items: flex-start; }
figure svg { background: #ffffff; border-radius: 4px; height: auto; max-width: 100%; }
.plot { overflow-x: auto; }
.plot svg { display: block; width: min(100%, 35rem); min-width: 20rem; }
.panels svg { display: block; width: auto; max-height: 30rem; }
.key { display: inline-flex; flex-wrap: wrap; gap: 0 0.9rem; }
.key svg { display: inline-block; width: 0.8em; height: 0.8em; background: none; vertical-align: -0.05em; }
figcaption { color: var(--quiet); font-size: 0.92rem; margin-top: 0.4rem; max-width: 46rem; }
.warning, .note { padding: 0.5rem 0.8rem; margin: 0.6rem 0; overflow-wrap: anywhere; max-width: none; }
.warning { border-left: 0.3rem solid var(--warning-edge); background: var(--warning-ground); }
.note { border-left: 0.3rem solid var(--note-edge); background: var(--note-ground); }
details { margin: 0.7rem 0; }
summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: 0.88rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, .warning, .note { break-inside: avoid; }
  .scroll, .plot { overflow: visible; }
  .plot svg { min-width: 0; }
  nav { display: none; }
  details::details-content { display: block; content-visibility: visible; block-size: auto; }
}
"""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


CSS = (
    f":root {{ color-scheme: light dark; {_variables(LIGHT_THEME)} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}\n"
    f"@media print {{ :root {{ {_variables(LIGHT_THEME)} }} }}" + _RULES
)


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
