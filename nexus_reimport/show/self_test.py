"""What verification finds of the kinds of corruption that were put into a copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from nexus_reimport import wording
from nexus_reimport.model import SelfTest, Trial
from nexus_reimport.show.page import (
    Cell,
    Folded,
    Marked,
    Page,
    Part,
    ShownTable,
    TextLine,
    Tone,
    folded,
    table,
)

_COLUMNS = "result | kind | what it means | what it corrupts | changed | caught by"


def self_test(value: SelfTest) -> Page:
    """What was missed; then sums by what was corrupted and by check; then, folded, each kind."""
    if value.why_not:
        return Page("Verification, tested", (TextLine(f"NOT TESTED: {value.why_not}.", Tone.BAD),))
    return Page(f"Verification, tested on the state of run {value.run}", tuple(_parts(value)))


def _parts(value: SelfTest) -> Iterator[Part]:
    yield TextLine(tested(value), Tone.GOOD if value.is_complete else Tone.BAD)
    yield TextLine(
        "Each was put into a copy of the database or of the bucket's list, one at a time, and the"
        f" same checks were asked as after COMMIT: {value.seconds:,.1f} s in all."
        " docs/self-test.md says what this proves, and what not."
    )
    if value.part:
        yield TextLine(f"The copy held a part of the clinic: {value.part}, and all that is theirs.")
    if value.missed:
        yield _kinds("Missed: verification would have let these pass", value.missed)
    if value.not_possible:
        yield _kinds("Not possible here", value.not_possible)
    yield folded(_by_sort(value))
    yield folded(_by_check(value))
    caught = _kinds("Each kind that was caught", value.caught)
    yield Folded(caught.caption, (caught,), in_text=False)


def tested(value: SelfTest) -> str:
    """One line: how many kinds, how many of them were missed."""
    if value.why_not:
        return f"not tested: {value.why_not}"
    kinds = wording.amount(len(value.trials), "kind")
    text = f"{kinds} of corruption: {len(value.caught):,} caught, {len(value.missed):,} missed"
    if value.not_possible:
        text += f", {len(value.not_possible):,} not possible here"
    return f"{text}."


def _by_sort(value: SelfTest) -> ShownTable:
    """How many kinds were caught, by what they corrupt; and the check that has caught most."""
    sorts = dict.fromkeys(t.corrupts for t in value.trials)
    rows = []
    for sort in sorts:
        trials = [t for t in value.trials if t.corrupts == sort]
        missed, possible = sum(t.is_missed for t in trials), sum(t.was_possible for t in trials)
        most = Counter(check for t in trials for check in t.caught_by).most_common(1)
        best = most[0][0] if most else ""
        bad: Cell = Marked(missed, Tone.BAD) if missed else 0
        rows.append((sort, len(trials), possible - missed, bad, len(trials) - possible, best))
    return table(
        "By what was corrupted",
        "what was corrupted | kinds | caught | missed | not possible here | most caught by",
        rows,
    )


def _by_check(value: SelfTest) -> ShownTable:
    """How many kinds each check has caught, and how many it alone."""
    caught = Counter(check for t in value.caught for check in t.caught_by)
    alone = Counter(t.caught_by[0] for t in value.caught if len(t.caught_by) == 1)
    return table(
        "By check",
        "check | kinds caught | caught by it alone",
        [(check, caught[check], alone[check]) for check in value.checks],
    )


def _kinds(caption: str, trials: Iterable[Trial]) -> ShownTable:
    return table(caption, _COLUMNS, [_row(trial) for trial in trials])


def _row(trial: Trial) -> tuple[Cell, ...]:
    caught_by = ", ".join(trial.caught_by)
    if trial.is_missed:
        noted = f"only noted by {', '.join(trial.noted_by)}" if trial.noted_by else ""
        caught_by = f"verification failed itself: {trial.crashed}" if trial.crashed else noted
    if not trial.was_possible:
        caught_by = (
            f"PostgreSQL kept it out: {trial.refused}" if trial.refused else "nothing of its sort"
        )
    return (_word(trial), trial.kind, trial.meaning, trial.corrupts, trial.changed, caught_by)


def _word(trial: Trial) -> Marked:
    if trial.is_missed:
        return Marked("MISSED", Tone.BAD)
    if trial.was_possible:
        return Marked("caught", Tone.GOOD)
    return Marked("not possible here", Tone.FAINT)
