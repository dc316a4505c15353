"""What a cell displays: a title, lines, tables and pictures, as HTML and as plain text.

Only counts, ids and column names ever come here. The HTML loads nothing from another host, so a
saved page shows the same without a network. The same value always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Protocol

from nexus_reimport.record import marks, rendering

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
    """A word or a number with a tone."""

    value: str | int | float
    tone: Tone


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
class ShownTable:
    """Rows under named columns; with ``last_is_sum`` the last row is shown as their sum."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    last_is_sum: bool = False

    def as_html(self) -> str:
        """The table; numbers are aligned to the right."""
        head = "".join(_th(name, right=self._is_number(n)) for n, name in enumerate(self.columns))
        body = "".join(self._row(n) for n in range(len(self.rows)))
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="wide">{table}</div>'

    def as_frame(self) -> pandas.DataFrame:
        """The table as a pandas data frame, to sort, filter or sum in a notebook.

        Shape: one row per row, without the last one if it is a sum; cells without their tone.
        """
        import pandas  # slow to load, and most commands never need it

        rows = self.rows[:-1] if self.last_is_sum else self.rows
        plain = [[c.value if isinstance(c, Marked) else c for c in row] for row in rows]
        return pandas.DataFrame(plain, columns=list(self.columns))

    def _row(self, number: int) -> str:
        bold = self.last_is_sum and number == len(self.rows) - 1
        cells = (
            _td(cell, right=self._is_number(n), bold=bold)
            for n, cell in enumerate(self.rows[number])
        )
        return f"<tr>{''.join(cells)}</tr>"

    def _is_number(self, column: int) -> bool:
        values = [row[column] for row in self.rows]
        plain = [v.value if isinstance(v, Marked) else v for v in values]
        return any(isinstance(v, int | float) for v in plain)

    def as_text(self) -> str:
        """The table as text; each column is as wide as its longest cell."""
        texts = [[cell_text(cell) for cell in row] for row in self.rows]
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
class Folded:
    """A long table that opens when a person clicks on it; as text, only what it is."""

    shown: ShownTable

    def as_html(self) -> str:
        """The table, closed."""
        head = f"<summary><b>{escape(self.shown.caption)}</b></summary>"
        return f"<details>{head}{replace(self.shown, caption='').as_html()}</details>"

    def as_text(self) -> str:
        """What it is, and how many rows it has."""
        return (
            f"[{self.shown.caption}: {len(self.shown.rows):,} rows, in the page and in the record]"
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG picture, and a description of what it shows."""

    svg: str
    words: str

    def as_html(self) -> str:
        """The picture inside the page: it needs no second file and no other host."""
        return f'<figure aria-label="{escape(self.words)}">{self.svg}</figure>'

    def as_text(self) -> str:
        """The description of the picture."""
        return f"[picture: {self.words}]"


Part = TextLine | ShownTable | Folded | Picture


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

    def frames(self) -> dict[str, pandas.DataFrame]:
        """The page's tables as pandas data frames, by caption, or by number without a caption."""
        parts = [part.shown if isinstance(part, Folded) else part for part in self.parts]
        tables = [part for part in parts if isinstance(part, ShownTable)]
        return {
            shown.caption or f"table {n}": shown.as_frame() for n, shown in enumerate(tables, 1)
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
    """``3 without_a_name, 2 unknown``, zeros left out; ``otherwise`` if all are zero."""
    return ", ".join(f"{n:,} {name}" for name, n in counts.items() if n) or otherwise


def table(
    caption: str,
    columns: str,
    rows: Iterable[tuple[Cell, ...]],
    *,
    last_is_sum: bool = False,
) -> ShownTable:
    """A table; ``columns`` holds the column names, separated by ``|``."""
    names = tuple(name.strip() for name in columns.split("|"))
    return ShownTable(caption, names, tuple(rows), last_is_sum)


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


def _td(cell: Cell, *, right: bool, bold: bool) -> str:
    tone = cell.tone if isinstance(cell, Marked) else Tone.PLAIN
    return f"<td{_class('number' * right, 'sum' * bold, tone)}>{escape(cell_text(cell))}</td>"
