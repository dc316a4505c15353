"""A whole run on one screen: for the last cell, for the command line, for the demo.

``facts`` is the one function that tells a run. What was done is told from what the transaction has
counted, and only where the run was committed; all else is told as what was planned.
"""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport import wording
from nexus_reimport.model import (
    Applied,
    EntityPlan,
    Ground,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    Scope,
    Undone,
)
from nexus_reimport.record import Run, State, Verdict, journal
from nexus_reimport.record.verdict import EXIT_CODES
from nexus_reimport.show.page import Page, TextLine, Tone, listed
from nexus_reimport.show.planned import changed, respelt
from nexus_reimport.show.result import counted

Fact = tuple[str, str]


def signed_off(run: Run) -> Page:
    """The end of a run, as its record tells it."""
    verdict = run.verdict()
    tone = Tone.GOOD if EXIT_CODES[verdict] == 0 else Tone.BAD
    place = "/".join(run.folder.parts[-3:])
    lines = [f"{name + ':':<13} {text}" for name, text in [*facts(run), ("record", place)]]
    return Page(
        f"{run.environment}: run {run.id}",
        (TextLine(f"Verdict: {verdict}", tone), *map(TextLine, lines)),
    )


def summary(run: Run) -> str:
    """The facts, the verdict, and where the record is."""
    verdict = run.standing()
    code = "" if verdict is Verdict.RUNNING else f", exit code {run.exit_code()}"
    told = [*facts(run), ("verdict", f"{verdict}{code}"), ("record", str(run.folder))]
    if run.is_sealed:
        told.append(("seal", run.seal_digest()))
    lines = [f"  {name:<14}{text}" for name, text in told]
    return "\n".join([f"{run.environment}: run {run.id}", *lines])


def facts(run: Run) -> list[Fact]:
    """What a run has done, or was to do, as its record's values tell it.

    Only a run that was committed has wiped, loaded or put back anything.
    """
    return [
        *_state(run),
        *_planned(run),
        *_undone(run),
        *_waited(run),
        *_rehearsed(run),
        *_checked(run),
        *_waivers(run),
        *_asked(run),
        *_void(run),
        *_window(run),
    ]


def _state(run: Run) -> Iterator[Fact]:
    """Where nothing was committed, and where something is odd about the COMMIT."""
    state = run.state()
    if pids := () if run.is_sealed else run.workers():
        told = "nothing is known yet" if state is State.UNKNOWN else state
        yield "state", f"at work, {wording.some([f'pid {pid}' for pid in pids])}; {told}"
    elif state is not State.COMMITTED:
        yield "state", str(state)
    elif run.verdict() is not Verdict.COMPLETE:
        yield "state", "committed, not verified"


def _planned(run: Run) -> Iterator[Fact]:
    """What was planned; as done, by the transaction's own counts, where it was committed."""
    if not run.has(Plan):
        return
    plan, done = run.load(Plan), _applied(run)
    committed = run.state() in (State.COMMITTED, State.TAKEN_BACK)
    wipes, loads, relinks = (
        ("wiped", "loaded", "re-linked") if committed else ("to wipe", "to load", "to re-link")
    )
    links = {n: done.relinked.get(n, 0) if done else p.file.rows for n, p in plan.links.items()}
    if plan.scope is Scope.REIMPORT:
        entities = tuple(plan.entities.values())
        if committed and done is None:
            yield "counts", "by the plan: the transaction's own were lost when it was killed"
        yield wipes, listed({e.entity: _wiped(e, done) for e in entities}, "nothing")
        yield loads, listed({e.entity: e.loaded for e in entities}, "nothing")
        yield "new", listed({e.entity: e.new for e in entities}, "nothing")
        yield "changed", _changed(plan)
        yield "left out", _by_entity({e.entity: e.left_out for e in entities})
        yield (
            "kept",
            _by_entity({e.entity: {str(u.cause): u.kept for u in e.unmatched} for e in entities}),
        )
        if closed := sum(u.kept_by_closure for e in entities for u in e.unmatched):
            yield "of these", f"{closed:,} kept since something points at them"
        yield (
            "purged" if committed else "to purge",
            listed({e.entity: e.purged for e in entities}, "nothing"),
        )
    yield relinks, listed(links, "nothing")


def _applied(run: Run) -> Applied | None:
    """What the transaction has counted; None where it was not committed, or lost by a kill."""
    found = run.load(Applied) if run.has(Applied) else None
    return found if found and found.committed else None


def _wiped(entity: EntityPlan, done: Applied | None) -> int:
    return done.deleted.get(entity.table, 0) if done else entity.rows_before


def _changed(plan: Plan) -> str:
    """Values that are others than before, by who has given them."""
    entities = plan.entities.values()
    by_hand = {f"by hand in {b.kind}": b.used for b in plan.by_hand}
    by_rule = {f"by {s.rule} in {e.entity}": s.changed for e in entities for s in e.overridden}
    found = {f"values of {e.entity}": changed(e) for e in entities}
    found |= {f"spellings of {e.entity}": respelt(e) for e in entities}
    return listed(found | by_hand | by_rule, "nothing")


def _by_entity(counts: dict[str, dict[str, int]]) -> str:
    told = {name: listed(by_cause, "") for name, by_cause in counts.items()}
    return "; ".join(f"{name}: {text}" for name, text in told.items() if text) or "nothing"


def _undone(run: Run) -> Iterator[Fact]:
    """A rollback: what it has put back, if it was committed."""
    if run.kind != "rollback":
        return
    undoes = run.undoes or "unknown"
    if run.state() is not State.COMMITTED:
        yield "to take back", undoes
        return
    yield "taken back", undoes
    if not run.has(Undone):
        yield "counts", "lost when it was killed"
        return
    undone = run.load(Undone)
    links = listed(undone.relinked, "none")
    yield "put back", f"{listed(undone.put_back, 'no rows')}; links of {links}"
    yield "exact", "yes" if undone.exact else "but for what people have written since"


def _waited(run: Run) -> Iterator[Fact]:
    done: Applied | Undone | None = _applied(run)
    if done is None and run.has(Undone):
        done = run.load(Undone)
    if done is not None and done.committed:
        yield "writers", f"waited {done.writers_waited:,.2f} s at most"


def _rehearsed(run: Run) -> Iterator[Fact]:
    """Whether the way back was proven; a run that has nothing more to do keeps quiet about it."""
    if run.has(Rehearsal):
        rehearsed = run.load(Rehearsal)
        if rehearsed.ground is Ground.INSIDE:
            yield (
                "rehearsal",
                f"UNPROVEN, neither backup nor undo was tried: {rehearsed.why_inside}",
            )
    elif run.has(Plan):
        yield "rehearsal", "was not done, or not to its end"


def _checked(run: Run) -> Iterator[Fact]:
    """The checks of each stage; those inside are of the execution only where that came so far."""
    inside = "inside" if journal.came_to_checks_inside(run.events()) else "inside, in the rehearsal"
    for name, when in (
        ("checks_before", "before"),
        ("checks_rehearsal", "rehearsing"),
        ("checks_inside", inside),
        ("checks_after", "after"),
        ("checks_rollback", "after"),
    ):
        if run.has(Report, name) and not (name == "checks_rehearsal" and _all_passed(run, name)):
            yield "checks", f"{when}: {counted(run.load(Report, name))}"


def _all_passed(run: Run, name: str) -> bool:
    return not any(r.offending or not r.passed for r in run.load(Report, name).results)


def _waivers(run: Run) -> Iterator[Fact]:
    """Waivers that are not what their owner thinks: expired, not enough, needed no longer."""
    found: dict[str, str] = {}
    for name in ("checks_before", "checks_rehearsal", "checks_after"):
        for result in run.load(Report, name).results if run.has(Report, name) else ():
            for mark, text in (
                ("EXPIRED", "expired"),
                ("NOT ENOUGH", "not enough"),
                ("", "no longer needed"),
            ):
                if result.waiver.startswith(mark) and (mark or result.waiver.endswith(text)):
                    found[result.check] = text
                    break
    if found:
        yield "waivers", ", ".join(f"{name}: {text}" for name, text in found.items())


def _asked(run: Run) -> Iterator[Fact]:
    """What was proposed, where nothing was done with it."""
    if run.state() is not State.AS_IT_WAS or not run.has(Proposal):
        return
    yield "proposal", run.load(Proposal).digest
    if run.verdict() is Verdict.WAITING and run.has(Outlook):
        for refusal in run.load(Outlook).refusals:
            yield "refused", f"until this is settled: {refusal.what}"


def _void(run: Run) -> Iterator[Fact]:
    """Values that were made void by a step that was run again, and not made anew since."""
    void = journal.made_void(run.events())
    kept = run.kept()
    gone = {name: by for name, by in void.items() if name not in kept}
    if gone:
        steps = wording.some(dict.fromkeys(gone.values()))
        yield "void", f"{', '.join(gone)}: {steps} was run again since"


def _window(run: Run) -> Iterator[Fact]:
    """Only where the maintenance window could not be taken down."""
    if why := journal.window_still_up(run.events()):
        yield "window", f"STILL UP, {why}; the next command tries to take it down again"
