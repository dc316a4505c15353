"""What verification finds of the kinds of corruption that were put into a copy."""

from __future__ import annotations

from collections import Counter

from nexus_reimport import wording
from nexus_reimport.model import SelfTest, Trial
from nexus_reimport.show.page import Cell, Marked, Page, ShownTable, TextLine, Tone, table


def self_test(value: SelfTest) -> Page:
    """Caught and missed by kind, and how many each check has caught; missed ones stand first."""
    if value.why_not:
        return Page("Verification, tested", (TextLine(f"NOT TESTED: {value.why_not}.", Tone.BAD),))
    return Page(
        f"Verification, tested on the state of run {value.run}",
        (
            TextLine(tested(value), Tone.GOOD if value.is_complete else Tone.BAD),
            TextLine(
                "Each was put into a copy of the database or of the bucket's list, one at a time,"
                f" and the same checks were asked as after COMMIT: {value.seconds:,.1f} s in all."
            ),
            _by_check(value),
            _by_kind(value),
        ),
    )


def tested(value: SelfTest) -> str:
    """One line: how many kinds, how many of them were missed."""
    if value.why_not:
        return f"not tested: {value.why_not}"
    kinds = wording.amount(len(value.trials), "kind")
    text = f"{kinds} of corruption: {len(value.caught):,} caught, {len(value.missed):,} missed"
    if value.not_possible:
        text += f", {len(value.not_possible):,} not possible here"
    return f"{text}."


def _by_check(value: SelfTest) -> ShownTable:
    """How many kinds each check has caught, and how many it alone."""
    caught = Counter(check for t in value.caught for check in t.caught_by)
    alone = Counter(t.caught_by[0] for t in value.caught if len(t.caught_by) == 1)
    return table(
        "By check",
        "check | kinds caught | caught by it alone",
        [(check, caught[check], alone[check]) for check in value.checks],
    )


def _by_kind(value: SelfTest) -> ShownTable:
    ordered = (*value.missed, *value.caught, *value.not_possible)
    return table(
        "By kind",
        "result | kind | what it means | what it corrupts | changed | caught by",
        [_row(trial) for trial in ordered],
    )


def _row(trial: Trial) -> tuple[Cell, ...]:
    found = ", ".join(trial.caught_by)
    if trial.is_missed:
        noted = f"only noted by {', '.join(trial.noted_by)}" if trial.noted_by else ""
        found = f"verification failed itself: {trial.crashed}" if trial.crashed else noted
    if not trial.was_possible:
        found = (
            f"PostgreSQL kept it out: {trial.refused}" if trial.refused else "nothing of its sort"
        )
    return (_word(trial), trial.kind, trial.meaning, trial.corrupts, trial.changed, found)


def _word(trial: Trial) -> Marked:
    if trial.is_missed:
        return Marked("MISSED", Tone.BAD)
    if trial.was_possible:
        return Marked("caught", Tone.GOOD)
    return Marked("not possible here", Tone.FAINT)
