"""Where an environment stands, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport import wording
from nexus_reimport.record import Run, Verdict
from nexus_reimport.runbook.whereabouts import Whereabouts
from nexus_reimport.show.sign_off import before, counted


def whereabouts(value: Whereabouts) -> str:
    """What was done, what is open, and what to do next."""
    facts = list(_facts(value))
    width = max(len(name) for name, _ in facts)
    return "\n".join([value.environment, *(f"  {n:<{width}}  {text}" for n, text in facts)])


def _facts(value: Whereabouts) -> Iterator[tuple[str, str]]:
    yield "adopted", value.adopted or "yes"
    if value.no_mapping[0]:
        yield "mapping", value.no_mapping[0].replace("\n", "\n" + " " * 4)
    last = value.last
    is_unnoted = last is not None and last.id in {one.run for one in value.apart.without_commit}
    yield "last run", _of_last(last, is_unnoted=is_unnoted) if last else "none yet"
    if value.is_still_up:
        todo = "the next run, finish, settle or seal takes it down"
        yield "maintenance", f"the window is still up; {todo}"
    if value.apart.away:
        known = wording.amount(len(value.apart.away), "run")
        yield "records", f"of {known} that the database knows, none is in {value.place}"
    if value.damaged:
        names, show = wording.some(value.damaged), f"nexus-reimport record show {value.environment}"
        yield "records", f"without a journal: {names}; {show} --run {value.damaged[-1]} says more"
    if value.astray:
        names = wording.some(map(wording.name_of_file, value.astray))
        check = f"nexus-reimport record check {value.environment}"
        yield "records", f"of another run, or environment, so none of them counts: {names}; {check}"
    yield from _of_records(value)
    if value.undecided:
        yield "undecided", wording.some(q.line for q in value.undecided)
    if value.needs_dev:
        yield "dev", _dev_run(value)
    yield from _of_sign_off(value)
    if value.window:
        yield "window", f"{value.window}, {'open' if value.is_open else 'closed'} now"
    for refusal in value.refusals:
        yield "refused", refusal.what.partition("\n")[0]
    yield "next", value.next


def _of_last(run: Run, *, is_unnoted: bool) -> str:
    """Which it is, what became of it, and what that means for the database."""
    if is_unnoted:  # what its journal says of the database is not so
        return f"{run.id}, {run.kind}: see what the database says of it"
    standing = run.standing()
    meaning = "" if standing is Verdict.RUNNING else f": {run.meaning()}"
    return f"{run.id}, {run.kind}, {standing}{meaning}"


def _of_records(value: Whereabouts) -> Iterator[tuple[str, str]]:
    last = value.last
    first = value.unfinished
    is_beside = first is not None and first != last
    if first and is_beside:
        yield "unfinished", f"{first.id}, {first.kind}, {first.standing()}"
    for unnoted in value.apart.without_commit:
        yield "database", f"it {unnoted}"
    if last and last.must_be_closed and not value.is_busy and not value.apart.unnoted:
        is_named = is_beside or last.seal_was_cut
        which = f"{value.environment} --run {last.id}" if is_named else value.environment
        todo = f"nexus-reimport seal {which} closes it, or says what prevents that"
        yield "record", f"not sealed: {todo}"
    if value.changed:
        yield "record", f"changed, or missing, since it was written: {wording.some(value.changed)}"
    if value.apart.forgotten:
        yield "database", f"it {value.apart.forgotten}"
    if run := value.apart.no_seal:
        yield "record", f"the database has no seal of run {run}, which is sealed"
    if value.not_archived:
        count = wording.amount(value.not_archived, "sealed record is", "sealed records are")
        put = f"nexus-reimport record archive {value.environment}"
        yield "archive", f"{count} not in it: {put} puts it there, or says what prevents that"


def _of_sign_off(value: Whereabouts) -> Iterator[tuple[str, str]]:
    yield "sign-off", counted(value.sheet)
    if value.register:
        check = f"nexus-reimport record check {value.environment}"
        yield "", f"the register does not count: {value.register}; {check} says more"
    if value.signed_run and value.sheet.open:
        yield "", before(value.signed_run)


def _dev_run(value: Whereabouts) -> str:
    if not value.dev:
        return value.dev_note or "no COMPLETE run yet"
    return f"COMPLETE, run {value.dev}{value.dev_note and f' ({value.dev_note})'}"
