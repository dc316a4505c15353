"""What a cell displays: a title, lines, tables and pictures, as HTML and as plain text.

Only counts, ids and column names ever come here. The HTML loads nothing from another host, so a
saved page shows the same without a network. The same value always gives the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Protocol

from nexus_reimport import naming, wording
from nexus_reimport.record.notebooks import marks, rendering

if TYPE_CHECKING:
    import pandas


class Tone(StrEnum):
    """The colour of a word. The word itself says the same, for readers who do not see colours."""

    PLAIN = ""
    GOOD = "good"
    ATTENTION = "look"
    BAD = "bad"
    FAINT = "faint"


@dataclass(frozen=True, slots=True)
class Marked:
    """A word or a number with a tone; ``bar`` is the part of a whole that a bar beside it shows."""

    value: str | int | float
    tone: Tone = Tone.PLAIN
    bar: float | None = None


_TABLE = "of table"  # the column of a frame that names the table
Cell = str | int | float | Marked | None


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text."""

    text: str
    tone: Tone = Tone.PLAIN

    def as_html(self) -> str:
        """The line as a paragraph."""
        return f"<p{_class(self.tone)}>{escape(self.text)}</p>"

    def as_text(self) -> str:
        """The line."""
        return self.text


@dataclass(frozen=True, slots=True)
class NamedLines:
    """Lines of text, each with a name before it."""

    lines: tuple[tuple[str, str], ...]

    def as_html(self) -> str:
        """A table as that of a first screen."""
        return rendering.named_lines((name, text, Tone.PLAIN) for name, text in self.lines)

    def as_text(self) -> str:
        """A line for each, their texts one below the other."""
        width = max((len(name) for name, _ in self.lines), default=0) + 1
        return "\n".join(f"{name + ':':<{width}} {text}" for name, text in self.lines)

    def as_table(self) -> ShownTable:
        """The same under named columns, as the frame of a first screen has them."""
        return ShownTable("", ("what", "says"), self.lines)


@dataclass(frozen=True, slots=True)
class ShownTable:
    """Rows under named columns."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_html(self, *, captioned: bool = True) -> str:
        """The table; numbers are aligned to the right. Under a summary it is not ``captioned``."""
        head = "".join(_th(name, right=self._is_number(n)) for n, name in enumerate(self.columns))
        body = "".join(map(self._row, self.rows))
        text = escape(self.caption)
        caption = f"<caption>{text}</caption>" if text and captioned else ""
        label = f' aria-label="{text}"' if text and not captioned else ""
        table = (
            f"<table{label}>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
        return f'<div class="wide">{table}</div>'

    def as_frame(self) -> pandas.DataFrame:
        """The table as a pandas data frame, to sort, filter or sum in a notebook.

        Shape: one row per row; cells without their tone.
        """
        import pandas  # slow to load, and most commands never need it

        plain = [[c.value if isinstance(c, Marked) else c for c in row] for row in self.rows]
        return pandas.DataFrame(plain, columns=list(self.columns))

    def _row(self, row: tuple[Cell, ...]) -> str:
        cells = (_td(cell, right=self._is_number(n)) for n, cell in enumerate(row))
        return f"<tr>{''.join(cells)}</tr>"

    def _is_number(self, column: int) -> bool:
        values = [row[column] for row in self.rows]
        plain = [v.value if isinstance(v, Marked) else v for v in values]
        return any(isinstance(v, int | float) for v in plain)

    def as_text(self) -> str:
        """The table as text; each column is as wide as its longest cell."""
        texts = [[wording.spelt_out(cell_text(cell)) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *texts, strict=True)]
        right = [self._is_number(n) for n in range(len(self.columns))]

        def line(cells: Iterable[str]) -> str:
            parts = (
                c.rjust(w) if r else c.ljust(w)
                for c, w, r in zip(cells, widths, right, strict=True)
            )
            return "  ".join(parts).rstrip()

        rule = "  ".join("-" * w for w in widths)
        caption = [self.caption] if self.caption else []
        return "\n".join([*caption, line(self.columns), rule, *map(line, texts)])


@dataclass(frozen=True, slots=True)
class Checks:
    """Checks: in HTML what is to be read and done, passed ones folded; as text every number."""

    every: ShownTable
    to_read: tuple[CheckLine, ...]
    passed: tuple[CheckLine, ...]

    def as_html(self) -> str:
        """Those that did not pass, then the others, folded."""
        shown = _lines_of(self.to_read) if self.to_read else ""
        if not self.passed:
            return shown
        count = f"{len(self.passed):,} check{'s' * (len(self.passed) != 1)} passed"
        return f"{shown}<details><summary>{count}</summary>{_lines_of(self.passed)}</details>"

    def as_text(self) -> str:
        """One table of all checks."""
        return self.every.as_text()


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check as a person reads it."""

    verdict: Marked
    level: str
    claim: str
    found: str
    sample: str  # the first of what offends
    name: str  # its id, and the lines of the checklist that it serves
    to_do: str

    def as_html(self) -> str:
        """One row of three cells."""
        count = f"<br>{escape(self.found)}" if self.found else ""
        ids = escape(self.sample)
        which = f"<details><summary>which</summary>{ids}</details>" if ids else ""
        level = f"<br>{escape(self.level)}" if self.level != self.verdict.value else ""
        return (
            f'<tr><td><span class="{self.verdict.tone}">{escape(str(self.verdict.value))}</span>'
            f"{level}</td><td>{escape(self.claim)}{count}<br>{which}<code>{escape(self.name)}</code></td>"
            f"<td>{escape(self.to_do)}</td></tr>"
        )


def _lines_of(lines: Iterable[CheckLine]) -> str:
    heads = ("verdict, level", "claim, and what was found", "what to do")
    head = "".join(_th(name, right=False) for name in heads)
    body = "".join(line.as_html() for line in lines)
    rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    table = f'<table aria-label="Checks">{rows}</table>'
    return f'<div class="wide checks">{table}</div>'


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG picture, a description of what it shows, and the numbers in it."""

    svg: str
    words: str
    numbers: ShownTable

    def as_html(self) -> str:
        """The picture as an image that needs no second file, and its numbers, folded."""
        # base64: JupyterLab shows it in a notebook that nobody has trusted too
        data = base64.b64encode(self.svg.encode()).decode()
        image = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(self.words)}">'
        numbers = Folded("the numbers of this picture", (self.numbers,))
        return f"<figure>{image}</figure>{numbers.as_html()}"

    def as_text(self) -> str:
        """The description of the picture."""
        return f"[picture: {self.words}]"


@dataclass(frozen=True, slots=True)
class Folded:
    """Parts that open when a person clicks on them; as text they are open."""

    summary: str
    parts: tuple[TextLine | ShownTable | Checks | Picture, ...]
    in_text: bool = True  # else the text only says how many rows there are

    def as_html(self) -> str:
        """The parts, closed."""
        match self.parts:
            case (ShownTable() as alone,):
                shown = alone.as_html(captioned=False)
            case _:
                shown = "".join(part.as_html() for part in self.parts)
        long = _class("" if self.in_text else "long")  # and it is no use on paper
        return f"<details{long}><summary>{escape(self.summary)}</summary>{shown}</details>"

    def as_text(self) -> str:
        """The parts one below the other; or what they are, and how many rows they have."""
        if self.in_text:
            return "\n\n".join(part.as_text() for part in self.parts)
        rows = sum(len(part.rows) for part in self.parts if isinstance(part, ShownTable))
        return f"[{self.summary}: {wording.amount(rows, 'row')}, in the page and in the record]"


Part = TextLine | NamedLines | ShownTable | Checks | Folded | Picture


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """A title, and the lines, tables and pictures under it."""

    title: str
    parts: tuple[Part, ...]

    def _repr_html_(self) -> str:
        shown = "".join(part.as_html() for part in self.parts)
        head = f"<h3>{escape(self.title)}</h3>"
        return f'{rendering.STYLE}<section class="nexus">{head}{shown}</section>'

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, object]]:
        """What a cell displays, marked as this package's own for the run that is open."""
        return bundle(self)

    @property
    def frame(self) -> pandas.DataFrame:
        """What the page shows, as one pandas data frame: to filter, sort, sum or export.

        Shape: the rows of its table. Of several tables the rows of all, one below the other, with
        the table's caption in the first column; ``frames`` has each by itself. A page without a
        table gives its lines.
        """
        import pandas

        frames = self.frames
        if not frames:
            lines = [part.text for part in self.parts if isinstance(part, TextLine)]
            return pandas.DataFrame({"line": lines})
        if len(frames) == 1:
            return next(iter(frames.values()))
        named = [frame.assign(**{_TABLE: name}) for name, frame in frames.items()]
        whole = pandas.concat(named, ignore_index=True)
        return whole[[_TABLE, *(column for column in whole.columns if column != _TABLE)]]

    @property
    def frames(self) -> dict[str, pandas.DataFrame]:
        """Each of its tables as a pandas data frame, by caption, or by number without a caption."""
        return {
            shown.caption or f"table {n}": shown.as_frame()
            for n, shown in enumerate(_tables(self.parts), 1)
        }

    def __repr__(self) -> str:
        return "\n\n".join([f"{self.title}\n{'=' * len(self.title)}", *self._texts()])

    def _texts(self) -> list[str]:
        """Blocks of text: each table or picture alone, consecutive lines together."""
        blocks: list[str] = []
        previous: Part | None = None
        for part in self.parts:
            if isinstance(part, TextLine) and isinstance(previous, TextLine):
                blocks[-1] += f"\n{part.as_text()}"
            else:
                blocks.append(part.as_text())
            previous = part
        return blocks


def _tables(parts: Iterable[Part]) -> Iterator[ShownTable]:
    """The tables of a page, also those that are folded or drawn."""
    for part in parts:
        match part:
            case ShownTable():
                yield part
            case NamedLines():
                yield part.as_table()
            case Checks():
                yield part.every
            case Picture():
                yield part.numbers
            case Folded():
                yield from _tables(part.parts)


class Displayed(Protocol):
    """What a cell can display: as HTML, and as text by its ``repr``."""

    def _repr_html_(self) -> str: ...


def bundle(
    page: Displayed, facts: Mapping[str, object] | None = None
) -> tuple[dict[str, str], dict[str, object]]:
    """A page as an output's data and metadata; ``facts`` is what it says to a program."""
    data = {"text/html": page._repr_html_(), "text/plain": repr(page)}
    return data, marks.metadata(data, facts)


def cell_text(cell: Cell) -> str:
    """A cell's text: thousands separated, floats with two decimals, "" for None."""
    value = cell.value if isinstance(cell, Marked) else cell
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else value


def listed(counts: Mapping[str, int], otherwise: str = "none") -> str:
    """``3 without a name, 2 in letters.patient_id``: rules in words, and zeros left out.

    ``otherwise`` if all are zero. Rows of entities are counted by ``naming.counted``.
    """
    named = ((n, name if "." in name else naming.words(name)) for name, n in counts.items())
    return ", ".join(f"{n:,} {name}" for n, name in named if n) or otherwise


def folded(shown: ShownTable, *more: ShownTable, summary: str = "") -> Folded:
    """Tables, folded; the summary is the caption of the first one, with its number of rows."""
    if summary or more:
        return Folded(summary or shown.caption, (shown, *more))
    rows = f"{shown.caption} ({len(shown.rows):,})"
    return Folded(rows, (shown,))


def table(caption: str, columns: str, rows: Iterable[tuple[Cell, ...]]) -> ShownTable:
    """A table; ``columns`` holds the column names, separated by ``|``."""
    names = tuple(name.strip() for name in columns.split("|"))
    return ShownTable(caption, names, tuple(rows))


def equal(first: int, *others: int) -> Marked:
    """``yes`` if counts that must be equal are equal, else ``NO``."""
    same = all(other == first for other in others)
    return Marked("yes", Tone.GOOD) if same else Marked("NO", Tone.BAD)


def attention(count: int) -> Cell:
    """A count, marked for a person's attention unless it is zero."""
    return Marked(count, Tone.ATTENTION) if count else 0


def _class(*names: str) -> str:
    classes = " ".join(name for name in names if name)
    return f' class="{classes}"' if classes else ""


def _th(name: str, *, right: bool) -> str:
    return f'<th scope="col"{_class("number" * right)}>{escape(name)}</th>'


def _td(cell: Cell, *, right: bool) -> str:
    tone = cell.tone if isinstance(cell, Marked) else Tone.PLAIN
    text = _bar(cell) + naming.breakable(escape(cell_text(cell)))
    return f"<td{_class('number' * right, tone)}>{text}</td>"


def _bar(cell: Cell) -> str:
    """A bar before a number, at most 6 letters long."""
    if not isinstance(cell, Marked) or cell.bar is None:
        return ""
    width = 6 * min(max(cell.bar, 0.0), 1.0)
    return f'<span class="track"><span class="bar" style="width:{width:.2f}em"></span></span> '
