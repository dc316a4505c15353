"""What others did to the tables of the plan while the preflight was at work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nexus_reimport.nexus.activity import Activity, TableWrites
from nexus_reimport.show.page import Marked, Page, ShownTable, TextLine, Tone, table

_VOID = "the plan is void, run the preflight again in a quieter hour"
_HIDDEN = "not shown to our role"


def activity(value: Activity) -> Page:
    """Who else wrote, who could have, and whether the plan still stands."""
    return Page(
        "What others did since the survey",
        (
            *_verdict(value),
            *_caveats(value),
            *_how_much(value),
            *_who(value),
            *_who_could_have(value),
            TextLine(f"From {_at(value.since)} to {_at(value.until)}, {value.tables:,} tables."),
        ),
    )


def _verdict(value: Activity) -> Iterator[TextLine]:
    for name in value.changed:
        yield TextLine(f"{_rows(value, name)} since the survey: {_VOID}.", Tone.BAD)
    for name in sorted(value.written.keys() - set(value.changed)):
        yield TextLine(
            f"{_rows(value, name)} since the survey, and what the plan rests on is as it was"
            " (rolled back, put back, or written just before): the plan stands.",
            Tone.ATTENTION,
        )
    if not value.changed and not value.written:
        seen = "Others held locks to write, and wrote nothing" if value.writers else "Nobody wrote"
        yield TextLine(f"{seen} since the survey: the plan stands.", Tone.GOOD)


def _rows(value: Activity, name: str) -> str:
    count = value.written.get(name, TableWrites()).rows
    if not count:
        return f"{name} was changed"
    return f"{count:,} row{'s' * (count != 1)} of {name} {'were' if count != 1 else 'was'} written"


def _caveats(value: Activity) -> Iterator[TextLine]:
    if not value.counted:
        words = "PostgreSQL's counters were reset or are off: every table was compared instead."
        yield TextLine(words, Tone.ATTENTION)
    if value.interrupted:
        words = "The watch lost its connection for a while: who wrote then may be missing below."
        yield TextLine(words, Tone.ATTENTION)


def _how_much(value: Activity) -> Iterator[ShownTable]:
    if value.written:
        yield table(
            "Rows written, as PostgreSQL counts them: rolled back ones too, up to ten seconds late",
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


def _who(value: Activity) -> Iterator[ShownTable]:
    if value.writers:
        yield table(
            "Seen with a lock to write",
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


def _who_could_have(value: Activity) -> Iterator[ShownTable]:
    if value.could_have:
        yield table(
            "Connected and active since: these could have written",
            "application | pid | connected since | last active",
            [
                (_named(s.application), str(s.pid), _at(s.connected_since), _at(s.last_active))
                for s in value.could_have
            ],
        )


def _named(application: str) -> str:
    return application or "(no name)"


def _at(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else _HIDDEN
