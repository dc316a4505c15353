"""The few pictures: completeness by field, the flow of records, where the time went."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nexus_reimport import naming, wording
from nexus_reimport.model import Applied, ColumnChange, EntityPlan, Plan, Scope
from nexus_reimport.record import journal
from nexus_reimport.record.journal import Entry
from nexus_reimport.show.page import Cell, Folded, Page, Picture, TextLine, Tone, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEFORE, _AFTER = "#a8b3bd", "#0969da"
_COLOURS = {
    "into its row": "#0969da",
    "into a new row": "#1a7f37",
    "left out": "#d4a72c",
    "replaced": "#0969da",
    "kept": "#8250df",
    "not decided": "#bf8700",
    "purged": "#cf222e",
}
_WIDE = 10.0  # % of an entity: such a band of what goes missing is looked at
_NO_ROWS = TextLine("This run only fixes links: no row is wiped or loaded.")


def completeness(value: Plan, entity: str = "") -> Page:
    """How many rows of an entity hold a value in each fed column; by default the first entity."""
    if value.scope is Scope.RELINK:
        return Page("Completeness by field", (_NO_ROWS,))
    planned = value.entities[entity or next(iter(value.entities))]
    changes = [c for c in planned.changes if c.filled_before or c.filled_after]
    figure, axes = _figure(len(changes) * 0.3 + 1.1)
    places = list(range(len(changes)))
    before = [_part(c.filled_before, planned.rows_before) for c in changes]
    after = [_part(c.filled_after, planned.rows_after) for c in changes]
    axes.barh([p - 0.2 for p in places], before, 0.38, color=_BEFORE, label="before")
    axes.barh([p + 0.2 for p in places], after, 0.38, color=_AFTER, label="after")
    for place, change in zip(places, changes, strict=True):
        text = f"{change.filled_before:,} → {change.filled_after:,}"
        axes.text(101, place, text, va="center", fontsize=8)
    _label(axes, [naming.words(c.column) for c in changes], "% of rows")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    what = naming.rows(planned.entity)
    words = f"completeness of {what} by field, before and after"
    numbers = table(
        f"Rows of {what} with a value, by field",
        "field | before | after",
        [(naming.words(c.column), c.filled_before, c.filled_after) for c in changes],
    )
    picture = Folded(
        "Picture: every field, before and after", (Picture(_svg(figure), words, numbers),)
    )
    return Page(f"Completeness of {what} by field", (*_more_or_less(changes), picture))


def _more_or_less(changes: Sequence[ColumnChange]) -> Iterator[TextLine]:
    """In how many fields more rows have a value than before; the fields in which fewer have one."""
    more = sum(c.filled_after > c.filled_before for c in changes)
    yield TextLine(f"{more:,} of {wording.amount(len(changes), 'field')} are filled in more rows.")
    fewer = [c for c in changes if c.filled_after < c.filled_before]
    if fewer:
        named = [
            f"{naming.words(c.column)} ({c.filled_before:,} → {c.filled_after:,})" for c in fewer
        ]
        yield TextLine(f"In fewer rows: {wording.some(named)}.", Tone.ATTENTION)


def flow(value: Plan) -> Page:
    """What becomes of each record of FileMaker, and of each row of Nexus."""
    if value.scope is Scope.RELINK:
        return Page("The flow of records", (_NO_ROWS,))
    figure, (left, right) = _figures(len(value.entities) * 0.42 + 1.1)
    names = [naming.rows(name) for name in value.entities]
    _stack(
        left, names, [_filemaker(e) for e in value.entities.values()], "% of FileMaker's records"
    )
    _stack(right, names, [_nexus(e) for e in value.entities.values()], "% of Nexus's rows")
    words = "what becomes of FileMaker's records and of Nexus's rows, by entity"
    rows: list[tuple[Cell, ...]] = [
        (naming.rows(e.entity), *_filemaker(e).values(), *_nexus(e).values())
        for e in value.entities.values()
    ]
    numbers = table(
        "What becomes of FileMaker's records and of Nexus's rows",
        "entity | into its row | into a new row | left out | replaced | kept | not decided"
        " | purged",
        rows,
    )
    picture = Folded("Picture: each record and each row", (Picture(_svg(figure), words, numbers),))
    return Page("The flow of records", (*_wide_bands(value), picture))


def _wide_bands(value: Plan) -> Iterator[TextLine]:
    """What becomes of all records and rows; and where much of one entity goes missing."""
    records = "records of FileMaker that can become rows"
    for whose, parts_of in ((records, _filemaker), ("rows of Nexus", _nexus)):
        sums = Counter[str]()
        for entity in value.entities.values():
            sums.update(parts_of(entity))
        parts = ", ".join(f"{count:,} {name}" for name, count in sums.items())
        yield TextLine(f"Of {sums.total():,} {whose}: {parts}.")
    for entity in value.entities.values():
        for name, of in (("left out", _filemaker(entity)), ("purged", _nexus(entity))):
            if (share := _part(of[name], sum(of.values()))) >= _WIDE:
                rows = naming.counted({entity.entity: of[name]})
                verb = "is" if of[name] == 1 else "are"
                yield TextLine(f"Look: {rows} {verb} {name} ({share:.0f}%).", Tone.ATTENTION)


def stage_times(events: Iterable[Entry]) -> Page:
    """How long each stage of a run took, from its journal; all attempts of a stage are added."""
    spent = journal.seconds(events)
    return _times("Time by step", {naming.stage(name): took for name, took in spent.items()})


def transaction_times(value: Applied) -> Page:
    """How long each step of the transaction took."""
    return _times("Time in the transaction, by step", value.timings)


def _times(title: str, spent: dict[str, float]) -> Page:
    figure, axes = _figure(len(spent) * 0.32 + 0.9)
    axes.barh(range(len(spent)), list(spent.values()), 0.6, color=_AFTER)
    for place, seconds in enumerate(spent.values()):
        axes.text(seconds, place, f" {seconds:,.2f} s", va="center", fontsize=8)
    _label(axes, list(spent), "seconds")
    axes.margins(x=0.15)
    words = ", ".join(f"{name} {seconds:,.2f} s" for name, seconds in spent.items())
    numbers = table(title, "step | seconds", list(spent.items()))
    picture = Picture(_svg(figure), words or "no step has finished yet", numbers)
    total = TextLine(f"{sum(spent.values()):,.1f} s in {wording.amount(len(spent), 'step')}.")
    return Page(title, (total, Folded("Picture: each step", (picture,))))


def _filemaker(entity: EntityPlan) -> dict[str, int]:
    left_out = sum(entity.left_out.values())
    return {"into its row": entity.replaced, "into a new row": entity.new, "left out": left_out}


def _nexus(entity: EntityPlan) -> dict[str, int]:
    """Rows by what becomes of them; those of which nobody has decided are not called kept."""
    return {
        "replaced": entity.replaced,
        "kept": entity.kept - entity.undecided,
        "not decided": entity.undecided,
        "purged": entity.purged,
    }


def _stack(axes: Axes, names: list[str], parts: list[dict[str, int]], unit: str) -> None:
    """One bar per name, 100% long, divided into its parts."""
    totals = [sum(part.values()) for part in parts]
    starts = [0.0] * len(names)
    for label in parts[0] if parts else ():
        lengths = [_part(p[label], total) for p, total in zip(parts, totals, strict=True)]
        axes.barh(range(len(names)), lengths, 0.6, starts, color=_COLOURS[label], label=label)
        starts = [s + n for s, n in zip(starts, lengths, strict=True)]
    for place, part in enumerate(parts):
        sums = " + ".join(f"{count:,}" for count in part.values())
        axes.text(101, place, sums, va="center", fontsize=7)
    _label(axes, names, unit)
    if parts:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)


def _label(axes: Axes, names: Sequence[str], unit: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)


def _part(count: int, whole: int) -> float:
    return 100 * count / whole if whole else 0.0


def _figure(height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = _figures(height, 1)
    return figure, axes


def _figures(height: float, side_by_side: int = 2) -> tuple[Figure, list[Axes]]:
    """A figure without a window. pyplot is avoided: it keeps every figure, and global settings."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0 * side_by_side + 3, max(height, 1.4)), layout="constrained")
    return figure, list(figure.subplots(1, side_by_side, squeeze=False)[0])


def _svg(figure: Figure) -> str:
    """The figure as SVG with text as text; equal figures give equal bytes."""
    from matplotlib import rc_context

    out = io.StringIO()
    # The fixed salt and the missing date and creator are what makes the bytes repeatable.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "nexus-reimport"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
