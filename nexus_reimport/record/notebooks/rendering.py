"""A clean notebook as one HTML file: its first screen, its contents, then its cells, code folded.

The file holds no script and asks no other host for anything; its own policy says so to the browser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
FIRST_SCREEN = "first-screen"  # the tag of the cell that is shown above all others
STYLE = f"<style>\n{(_HERE / 'output.css').read_text(encoding='utf-8')}</style>"  # of each output
_PAGE_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)
_HEADING = re.compile(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link"', re.DOTALL)
_BANNER = re.compile(r'<section class="nexus first".*?</section>', re.DOTALL)
_OF_PAPERMILL = "papermill-error-cell-tag"  # what it puts above a page that has stopped
_FRAME = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{style}</style>
{output_style}
</head>
<body class="record">
<header>
{top}
{contents}
</header>
<main>
{cells}
</main>
</body>
</html>
"""
Notebook = Any  # nbformat's node


def html(page: Notebook, name: str) -> str:
    """The notebook as one HTML file, titled ``name``."""
    first = [cell for cell in page.cells if is_first_screen(cell)]
    top = "\n".join("".join(_outputs(cell)) for cell in first)
    others = [cell for cell in page.cells if cell not in first and not _is_repeated(cell)]
    cells = "\n".join(map(_cell, others))
    if top:  # it is newer than the banner that the page began with, and may contradict it
        cells = _BANNER.sub("", cells)
    text = _FRAME.format(
        policy=_POLICY,
        title=escape(name),
        style=_PAGE_STYLE,
        output_style=STYLE,
        top=top.replace(STYLE, ""),
        contents=_contents(cells),
        cells=cells.replace(STYLE, ""),
    )
    return _SCRIPT.sub("", text)


def named_lines(lines: Iterable[tuple[str, str, str]]) -> str:
    """A table of names, texts and tones, one line each; "" without a line."""
    rows = "".join(_named_line(*line) for line in lines)
    return f'<table class="summary"><tbody>{rows}</tbody></table>' if rows else ""


def _named_line(name: str, text: str, tone: str) -> str:
    of_tone = f' class="{tone}"' if tone else ""
    # JupyterLab takes the style sheet out of a notebook that nobody has trusted, and no style
    left = ' style="text-align: left"'
    head = f'<th scope="row"{left}>{escape(name)}</th>'
    points = escape(text).split("\n")
    shown = "<br>".join(points)
    if tone == "look" and len(points) > 1:  # where one begins is seen though it is wrapped
        shown = "".join(f'<div class="point">{point}</div>' for point in points)
    return f"<tr>{head}<td{of_tone}{left}>{shown}</td></tr>"


def is_first_screen(cell: Any) -> bool:
    """Whether a cell holds the page's first screen."""
    return FIRST_SCREEN in cell.metadata.get("tags", ())


def _is_repeated(cell: Any) -> bool:
    """Whether papermill has added the cell: the first screen says better why the page stopped."""
    return _OF_PAPERMILL in cell.metadata.get("tags", ())


def _contents(cells: str) -> str:
    """Links to the sections; "" where there are none."""
    headings = _HEADING.findall(cells)
    links = "".join(f'<li><a href="#{place}">{title}</a></li>' for place, title in headings)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>' if links else ""


def _cell(cell: Any) -> str:
    if cell.cell_type == "markdown":
        return _words(cell.source)
    code = _code(cell.source) if cell.cell_type == "code" else f"<pre>{escape(cell.source)}</pre>"
    return "\n".join([code, *(_outputs(cell) if cell.cell_type == "code" else ())])


def _words(source: str) -> str:
    from nbconvert.filters import markdown2html

    text = str(markdown2html(source))
    return text.replace("<table>", '<div class="table-of-page"><table>').replace(
        "</table>", "</table></div>"
    )


def _code(source: str) -> str:
    """The code of a cell, folded under its first line."""
    first, *rest = source.splitlines() or [""]
    if not source.strip():
        return ""
    more = " …" if rest else ""
    head = f"<summary><code>{escape(first)}{more}</code></summary>"
    return f'<details class="code">{head}<pre>{escape(source)}</pre></details>'


def _outputs(cell: Any) -> Iterator[str]:
    for output in cell.outputs:
        data = output.get("data", {})
        if "text/html" in data:
            yield data["text/html"]
        elif text := data.get("text/plain") or output.get("text", ""):
            yield f"<pre>{escape(text)}</pre>"
