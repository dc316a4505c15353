"""A whole run on one screen: for the last cell, for the command line, for the demo.

``facts`` is the only function that describes a run. What was done comes from the counts of the
transaction itself, and is shown only if the run was committed. Everything else is shown as planned:
a summary must never claim something that the database does not hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial

from nexus_reimport import model, naming, wording
from nexus_reimport.model import (
    Applied,
    Approval,
    Drift,
    EntityPlan,
    Ground,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    RollbackPreview,
    RollbackProposal,
    Scope,
    SelfTest,
    Snapshot,
    Survey,
    Undone,
    WaiverState,
)
from nexus_reimport.record import Run, State, Verdict, journal
from nexus_reimport.record.headline import Tense
from nexus_reimport.record.notebooks import attention, marks
from nexus_reimport.record.sealed import front
from nexus_reimport.record.verdict import EXIT_CODES
from nexus_reimport.settings import Write
from nexus_reimport.show.checks import counted
from nexus_reimport.show.page import NamedLines, Page, TextLine, Tone, listed
from nexus_reimport.show.planned import changed, left_out, respelt
from nexus_reimport.show.self_test import tested

Fact = tuple[str, str]


def signed_off(run: Run) -> Page:
    """The end of a run, as its record has it."""
    verdict = run.verdict()
    tone = Tone.GOOD if EXIT_CODES[verdict] == 0 else Tone.BAD
    place = "/".join(run.bag.parts[-3:])
    return Page(
        f"{run.environment}: run {run.id}",
        (TextLine(f"Verdict: {verdict}", tone), NamedLines((*facts(run), ("record", place)))),
    )


def summary(run: Run) -> str:
    """The facts, the verdict, and where the record is."""
    verdict = run.standing()
    code = "" if verdict is Verdict.RUNNING else f", exit code {run.exit_code()}"
    code += front.of_pages(run.events()) if run.is_sealed else ""
    code += "" if verdict is Verdict.RUNNING else f": {run.meaning()}"
    shown = [*facts(run), ("verdict", f"{verdict}{code}"), ("record", str(run.bag))]
    if run.is_sealed:
        shown.append(("seal", run.seal_digest()))
    lines = [f"  {name:<14}{text}" for name, text in shown]
    return "\n".join([f"{run.environment}: run {run.id}", *lines])


def facts(run: Run) -> list[Fact]:
    """What a run has done, or would have done, from the values in its record.

    Only a run that was committed has wiped, loaded or restored anything.
    """
    return [
        *_state(run),
        *_planned(run),
        *_undone(run),
        *_waited(run),
        *_rehearsed(run),
        *_tested(run),
        *_checked(run),
        *_waived(run),
        *_looks(run),
        *_waivers(run),
        *_asked(run),
        *_void(run),
        *_window(run),
        *(("journal", text) for text in run.journal_problems()),
        *(
            ("damaged", f"{name} was changed, or is missing, and cannot be read back")
            for name in run.damaged()
        ),
    ]


def _state(run: Run) -> Iterator[Fact]:
    """The state, unless the run is simply complete."""
    state = run.state()
    # A page, and the runner that executes it, are at work until its last cell; nobody else can be.
    others = [] if marks.is_page_of(run.private) else _others(run)
    if others and not run.is_sealed:
        text = "the result is not known yet" if state is State.UNKNOWN else state
        yield "state", f"running, {wording.processes(others)}; {text}"
    elif state is not State.COMMITTED:
        yield "state", str(state)
    elif run.verdict() is not Verdict.COMPLETE:
        yield "state", "committed, not verified"


def _others(run: Run) -> list[int]:
    return [pid for pid in run.workers() if pid not in (os.getpid(), os.getppid())]


def _planned(run: Run) -> Iterator[Fact]:
    """What was planned; if it was committed, what was done, in the transaction's own counts."""
    plan, done = run.loaded(Plan), _applied(run)
    if plan is None:
        return
    tense = run.tense()
    words = _WORDS[tense]
    links = {n: done.relinked.get(n, 0) if done else p.file.rows for n, p in plan.links.items()}
    if plan.scope is Scope.REIMPORT:
        entities = tuple(plan.entities.values())
        if tense is Tense.DID and done is None:
            yield "counts", "from the plan; the transaction's own counts were lost"
        loaded = naming.counted({e.entity: e.loaded for e in entities})
        if tense is Tense.DID and _write(run, done) is not Write.ALL:
            yield "reimported", loaded
        elif (proposal := run.loaded(Proposal)) and proposal.writes_nothing:
            yield words["write"], f"nothing: {loaded} are already as imported afresh"
        else:
            yield words["wipe"], naming.counted({e.entity: _wiped(e, done) for e in entities})
            yield words["load"], loaded
        if done and done.rows_written is not None:
            yield "written", _written(entities, done)
        yield "new", naming.counted({e.entity: e.new for e in entities})
        yield "changed", _changed(plan)
        yield words["lose"], model.losses(entities) or "nothing"
        yield "left out", _by_name(left_out(plan))
        kept = {
            naming.rows(e.entity): {str(u.cause): u.kept for u in e.unmatched if u.decision}
            for e in entities
        }
        yield words["keep"], _by_name(kept)
        if undecided := model.undecided(entities):
            yield "not decided", undecided
        if closed := sum(u.kept_by_closure for e in entities for u in e.unmatched):
            yield "of these", f"{closed:,} kept because a row references them"
        yield (
            words["purge"],
            naming.counted({e.entity: e.purged for e in entities}),
        )
    else:
        yield "left out", _by_name(left_out(plan))
    yield words["re-link"], naming.links(links)


_DONE = {
    "wipe": "wiped",
    "write": "written",
    "load": "loaded",
    "lose": "lost",
    "keep": "kept",
    "purge": "purged",
    "re-link": "re-linked",
}
_WORDS = {
    Tense.DID: _DONE,
    Tense.WILL: {verb: f"to {verb}" for verb in _DONE},
    Tense.WOULD: {verb: f"would {verb}" for verb in _DONE},
}


def _write(run: Run, done: Applied | None) -> Write | None:
    """Whether every row was written, or those that differ; None where nobody knows it any more."""
    proposal = run.loaded(Proposal)
    return done.write if done else proposal.write if proposal else None


def _applied(run: Run) -> Applied | None:
    """The transaction's counts; None if it was not committed, or if a kill lost them."""
    applied = run.loaded(Applied)
    return applied if applied and applied.committed else None


def _wiped(entity: EntityPlan, done: Applied | None) -> int:
    """Rows that are replaced or purged.

    With ``write = "all"`` rows that are kept are deleted and inserted too: they do not count, as
    they stand under ``kept``.
    """
    if done is None or done.rows_written is not None:
        return entity.rows_before - entity.kept
    return done.deleted.get(entity.table, 0) - entity.kept


def _written(entities: Sequence[EntityPlan], done: Applied) -> str:
    """The rows that had to be written so that all are as if they had been deleted and imported."""
    rows = naming.counted({e.entity: done.written.get(e.table, 0) for e in entities}, "")
    if not rows:
        return "nothing: all rows were already as imported afresh"
    if all(e.rows_after <= done.written.get(e.table, 0) for e in entities):
        return rows  # a first import
    return f"{rows}; all other rows were already as imported afresh"


def _changed(plan: Plan) -> str:
    """The number of values that differ from before, by where the new value comes from."""
    entities = plan.entities.values()
    by_hand = {f"by hand in {b.kind}": b.used for b in plan.by_hand}
    by_rule = {
        f"by the rule “{naming.words(s.rule)}” in {naming.rows(e.entity)}": s.changed
        for e in entities
        for s in e.overridden
    }
    by_entity = {
        f"{naming.named(what, count)} of {naming.rows(e.entity)}": count
        for what, counted_in in (("values", changed), ("spellings", respelt))
        for e in entities
        for count in [counted_in(e)]
    }
    return listed(by_entity | by_hand | by_rule, "nothing")


def _by_name(counts: dict[str, dict[str, int]]) -> str:
    texts = {name: listed(by_cause, "") for name, by_cause in counts.items()}
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text) or "nothing"


def _undone(run: Run) -> Iterator[Fact]:
    """A rollback: what it has restored, if it was committed."""
    if run.kind != "rollback":
        return
    undoes = run.undoes or "unknown"
    tense = run.tense()
    if tense is not Tense.DID:
        yield "to undo" if tense is Tense.WILL else "would undo", undoes
        return
    yield "undone", undoes
    undone = run.loaded(Undone)
    if undone is None:
        yield "counts", "the transaction's own counts were lost"
        return
    yield "written", attention.written(undone)
    yield "after it", naming.counted(undone.put_back, "no rows")
    yield "as before", attention.as_before(undone, run.loaded(Report, "checks_rollback"))


def _waited(run: Run) -> Iterator[Fact]:
    done: Applied | Undone | None = _applied(run) or run.loaded(Undone)
    if done is not None and done.committed:
        yield "writers", f"waited {wording.at_most(done.writers_waited)}"


def _rehearsed(run: Run) -> Iterator[Fact]:
    """What is missing from the rehearsal; nothing if it was done on a copy, to its end."""
    rehearsed = run.loaded(Rehearsal)
    if rehearsed is not None:
        if rehearsed.ground is Ground.INSIDE:
            yield (
                "rehearsal",
                f"UNPROVEN, backup and undo were not tried: {rehearsed.why_inside}",
            )
    elif run.has(Plan) and not run.has(Rehearsal):
        yield "rehearsal", "not done, or not finished"


def _tested(run: Run) -> Iterator[Fact]:
    """What the verification found of the kinds of corruption."""
    if done := run.loaded(SelfTest):
        on_dev = done.run and done.environment != run.environment
        where = f" Made on {done.environment}, in run {done.run}." if on_dev else ""
        yield "self-test", f"{tested(done)}{where}"


def _checked(run: Run) -> Iterator[Fact]:
    """The checks of each stage; those inside are the rehearsal's until the execution ran them."""
    inside = "inside" if journal.came_to_checks_inside(run.events()) else "inside, in the rehearsal"
    for name, when in (
        ("checks_before", "before"),
        ("checks_rehearsal", "rehearsing"),
        ("checks_inside", inside),
        ("checks_after", "after"),
        ("checks_rollback", "after"),
    ):
        report = run.loaded(Report, name)
        if report and not (name == "checks_rehearsal" and _all_passed(report)):
            yield "checks", f"{when}: {counted(report)}"


def _waived(run: Run) -> Iterator[Fact]:
    """What does not hold and was accepted by name, with its counts."""
    if waived := model.waived(partial(run.loaded, Report)):
        yield "waived", "; ".join(waived)


def _looks(run: Run) -> Iterator[Fact]:
    """What came in between, what is older than the run, and whether another package verified it."""
    approved = run.loaded(Proposal) or run.loaded(RollbackProposal)
    older = (run.loaded(Survey), run.loaded(RollbackPreview)) if run.is_committed() else ()
    for text in (
        *attention.of_commit(_applied(run) or run.loaded(Undone)),
        *attention.of_drift(run.loaded(Drift), run.loaded(Approval)),
        *attention.of_stored(*older),
        *attention.of_verification(journal.verified_with(run.events()), approved),
    ):
        yield "look at this", text


def _all_passed(report: Report) -> bool:
    return not any(r.offending or not r.passed for r in report.results)


def _waivers(run: Run) -> Iterator[Fact]:
    """Waivers that a person should revise: expired, not enough, or no longer needed."""
    waivers: dict[str, str] = {}
    for name in ("checks_before", "checks_rehearsal", "checks_after"):
        report = run.loaded(Report, name)
        for result in report.results if report else ():
            if result.waiver_state not in (None, WaiverState.IN_USE):
                waivers[result.check] = str(result.waiver_state)
    if waivers:
        yield "waivers", ", ".join(f"{name}: {text}" for name, text in waivers.items())


def _asked(run: Run) -> Iterator[Fact]:
    """The proposal, as long as nothing was written; and why its approval would be refused."""
    proposal = run.loaded(Proposal)
    if run.state() is not State.AS_IT_WAS or proposal is None:
        return
    is_waiting = run.verdict() is Verdict.WAITING
    if is_waiting and (snapshot := run.loaded(Snapshot)):
        read = f"read at {wording.moment(snapshot.taken_at)}"
        yield "FileMaker", f"{read}; what is edited there since is not in this run"
        if files := [e.origin.modified_at for e in snapshot.extracts.values() if e.origin]:
            tables = wording.amount(len(files), "table")
            oldest = wording.moment(min(files))
            since = "what was edited in FileMaker after the export is not in this run"
            yield "exports", f"{tables} from files, the oldest of {oldest}; {since}"
    yield "proposal", proposal.digest
    if is_waiting and (outlook := run.loaded(Outlook)):
        for refusal in outlook.refusals:
            yield "refused", f"until this is fixed: {refusal.what}"
        for text in attention.of_ending(outlook):
            yield "look at this", text


def _void(run: Run) -> Iterator[Fact]:
    """Values that became void because an earlier step was run again, and that are still missing."""
    void = journal.made_void(run.events())
    kept = run.kept()
    gone = {name: by for name, by in void.items() if name not in kept}
    if gone:
        steps = wording.some(
            f"“{name}”" for name in dict.fromkeys(map(naming.stage, gone.values()))
        )
        values = ", ".join(map(naming.words, gone))
        yield "void", f"{values}: {steps} was run again afterwards"


def _window(run: Run) -> Iterator[Fact]:
    """A warning if the maintenance window could not be taken down."""
    if why := journal.window_still_up(run.events()):
        yield "window", f"STILL UP, {why}; the next command tries again to take it down"
