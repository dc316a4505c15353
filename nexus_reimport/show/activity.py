"""What other sessions did to the plan's tables while the preflight was running."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nexus_reimport import wording
from nexus_reimport.nexus.activity import Activity, TableWrites
from nexus_reimport.show.page import Marked, Page, ShownTable, TextLine, Tone, table

_VOID = "the plan is void; run the preflight again in a quieter hour"
_HIDDEN = "not shown to our role"  # other roles' times need pg_read_all_stats


def activity(value: Activity) -> Page:
    """Who else wrote, who could have written, and whether the plan is still valid."""
    return Page(
        "What others did since the survey",
        (
            *_verdict(value),
            *_caveats(value),
            *_rows_written(value),
            *_writers(value),
            *_possible_writers(value),
            TextLine(
                f"Watched from {_at(value.since)} to {_at(value.until)}:"
                f" {wording.amount(value.tables, 'table')}."
            ),
        ),
    )


def _verdict(value: Activity) -> Iterator[TextLine]:
    for name in value.changed:
        yield TextLine(f"{_rows(value, name)} since the survey: {_VOID}.", Tone.BAD)
    for name in sorted(value.written.keys() - set(value.changed)):
        yield TextLine(
            f"{_rows(value, name)} since the survey, but the data that the plan uses is unchanged"
            " (the writes were rolled back or reversed, or were made just before the survey): the"
            " plan is still valid.",
            Tone.ATTENTION,
        )
    if not value.changed and not value.written:
        text = "Others held write locks but wrote nothing" if value.writers else "Nobody wrote"
        yield TextLine(f"{text} since the survey: the plan is still valid.", Tone.GOOD)


def _rows(value: Activity, name: str) -> str:
    count = value.written.get(name, TableWrites()).rows
    if not count:
        return f"{name} was changed"
    return f"{count:,} row{'s' * (count != 1)} of {name} {'were' if count != 1 else 'was'} written"


def _caveats(value: Activity) -> Iterator[TextLine]:
    if not value.counted:
        text = "PostgreSQL's counters were reset or are off: every table was compared instead."
        yield TextLine(text, Tone.ATTENTION)
    if value.interrupted:
        text = "The watch was disconnected for a while: it may have missed some writers."
        yield TextLine(text, Tone.ATTENTION)


def _rows_written(value: Activity) -> Iterator[ShownTable]:
    # PostgreSQL counts rows that are rolled back too, and an idle session reports its counts up to
    # ten seconds late. The numbers are a hint; the comparison in `changed` decides.
    if value.written:
        yield table(
            "Rows written, as PostgreSQL counts them (rolled back too; up to ten seconds late)",
            "table | inserted | updated | deleted | for the plan",
            [
                (
                    name,
                    w.inserted,
                    w.updated,
                    w.deleted,
                    Marked("CHANGED", Tone.BAD) if name in value.changed else "as surveyed",
                )
                for name, w in value.written.items()
            ],
        )


def _writers(value: Activity) -> Iterator[ShownTable]:
    if value.writers:
        yield table(
            "Sessions seen with a write lock",
            "application | pid | first seen | last seen | tables",
            [
                (
                    _named(w.application),
                    str(w.pid),
                    _at(w.first_seen),
                    _at(w.last_seen),
                    ", ".join(w.tables),
                )
                for w in value.writers
            ],
        )


def _possible_writers(value: Activity) -> Iterator[ShownTable]:
    # The watch looks five times a second and can miss a shorter transaction.
    if value.could_have:
        yield table(
            "Sessions connected and active since the survey: these could have written",
            "application | pid | connected since | last active",
            [
                (_named(s.application), str(s.pid), _at(s.connected_since), _at(s.last_active))
                for s in value.could_have
            ],
        )


def _named(application: str) -> str:
    return application or "(no name)"


def _at(time: datetime | None) -> str:
    return wording.moment(time) if time else _HIDDEN
