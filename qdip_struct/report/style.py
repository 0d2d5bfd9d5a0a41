"""Colours and style sheet of every page: light and dark, screen and paper, wide and 400 px.

Text colours stand at 4.5 : 1 or more on every ground they are used on (WCAG 2.2, AA). Figures keep a white ground in
the dark, for their own colours are made for paper.
"""

LIGHT = {
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
    f":root {{ color-scheme: light dark; {_variables(LIGHT)} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}\n"
    f"@media print {{ :root {{ {_variables(LIGHT)} }} }}" + _RULES
)
