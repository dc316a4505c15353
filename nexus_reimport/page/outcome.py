"""T3: what a run would do, or did: in numbers, what needs a person, GO or NO-GO."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from nexus_reimport import mapping as mappings
from nexus_reimport import model, naming, wording
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError
from nexus_reimport.model import (
    Applied,
    Approval,
    Drift,
    EntityPlan,
    LinkPlan,
    Plan,
    Proposal,
    Refusal,
    Rehearsal,
    Report,
    Result,
    Scope,
    Undone,
)
from nexus_reimport.model.approval import short
from nexus_reimport.page import decision
from nexus_reimport.page.decision import Decision
from nexus_reimport.record import Run, Verdict, journal
from nexus_reimport.record.headline import Tense
from nexus_reimport.record.notebooks import attention
from nexus_reimport.runner import notebook
from nexus_reimport.runner.advice import advice
from nexus_reimport.settings import Settings
from nexus_reimport.show.planned import changed, left_out

_NO_FILE_LOST = "no_file_was_lost"


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a kind of row: in how many rows it has a value, before and after."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Kind:
    """One entity, in the numbers of a plan."""

    name: str
    imported: int
    new: int
    changed: int  # values
    kept: int
    undecided: int  # nobody has decided whether they are kept or deleted
    purged: int
    misfits: int
    there_before: int
    there_after: int
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Links:
    """One kind of attachment: links that are fixed, and those that are right already."""

    name: str
    rows: int
    fixed: int
    reachable_before: int
    reachable_after: int


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of the last run, as a person must know it before they decide."""

    run: Run
    verdict: Verdict
    headline: str
    tone: str  # good, attention, bad
    digest: str  # as much of it as is typed, "" where nothing was proposed
    is_committed: bool  # what the plan says has become true
    kinds: tuple[Kind, ...] = ()
    links: tuple[Links, ...] = ()
    lost: str = ""  # values of rows that stay, and their columns
    undecided: str = ""  # rows and values
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)  # whose records, rule -> some
    looks: tuple[str, ...] = ()  # what a person should look at
    failed: tuple[Result, ...] = ()
    error: str = ""  # four lines
    decision: Decision | None = None  # that a person must make
    refusals: tuple[Refusal, ...] = ()
    rows_written: int | None = None  # of those that were wiped and reimported, where not all were
    writes_nothing: bool = False  # as it is planned: every row is already as imported
    counts_are_lost: bool = False  # of what it has committed: its plan alone tells the numbers
    files: str = ""  # whether those of documents and images are there, once that was looked at
    as_before: str = ""  # of a rollback that is committed: whether the data is as before the run
    writers_wait: float | None = None
    undo_wait: float | None = None
    pages: tuple[str, ...] = field(default=())
    damaged: tuple[str, ...] = ()  # values of its record that were changed, or are missing
    journal: tuple[str, ...] = ()  # what is wrong with its journal

    @property
    def is_rollback(self) -> bool:
        """Whether it has taken another run back, to its end."""
        return self.verdict is Verdict.COMPLETE and self.run.kind == "rollback"

    @property
    def will_not_be_done(self) -> bool:
        """Whether nothing of its plan was done, nor will be: another run makes another plan."""
        if self.verdict is Verdict.STOPPED:  # before an approval its plan asks to be settled
            return self.run.has(Approval)
        return self.run.tense() is Tense.WOULD

    @property
    def reached_its_end(self) -> bool:
        """Whether it has come as far as it would have come: nothing has broken it off."""
        return self.verdict in (Verdict.WAITING, Verdict.COMPLETE, Verdict.STOPPED)


def of(run: Run, refusals: tuple[Refusal, ...] = ()) -> RunOutcome:
    """What became of ``run``; ``refusals`` is what an approval would be refused for now."""
    verdict = run.verdict()
    plan, before = run.loaded(Plan), run.loaded(Report, "checks_before")
    rehearsed, applied = run.loaded(Rehearsal), run.loaded(Applied)
    proposal, damaged = run.loaded(Proposal), run.damaged()
    headline, tone = _headline(run, verdict, refusals, damaged)
    waits = verdict is Verdict.WAITING and not run.is_sealed and not damaged
    # Each check that has failed is told by itself, in its own words.
    stopped_by_checks = _is_stopped_by_checks(run, verdict, before)
    waits_of = applied or (None if run.is_committed() else rehearsed)
    return RunOutcome(
        run=run,
        verdict=verdict,
        headline=headline,
        tone=tone,
        digest=short(proposal.digest) if waits and proposal else "",
        is_committed=run.is_committed(),
        kinds=tuple(map(_kind, plan.entities.values())) if plan else (),
        links=tuple(map(_links, plan.links.values())) if plan else (),
        lost=model.losses(plan.entities.values()) if plan else "",
        undecided=model.undecided(plan.entities.values()) if plan else "",
        left_out=left_out(plan) if plan else {},
        looks=tuple(_looks(run, plan, before)) if plan else (),
        failed=before.blocking if before else (),
        error="" if verdict is Verdict.COMPLETE or stopped_by_checks else notebook.last_error(run),
        decision=decision.of(advised) if (advised := advice(verdict, run)) else None,
        refusals=refusals,
        rows_written=applied.rows_written if applied and applied.committed else None,
        writes_nothing=proposal is not None and proposal.writes_nothing,
        counts_are_lost=plan is not None and run.is_committed() and applied is None,
        files=_files(run),
        as_before=_as_before(run),
        writers_wait=waits_of.writers_waited if waits_of else None,
        undo_wait=rehearsed.undo_waited if rehearsed else None,
        pages=tuple(sorted((p.name for p in run.folder.rglob("*.html")), key=naming.turn)),
        damaged=damaged,
        journal=tuple(run.journal_problems()),
    )


def patients_after(run: Run, settings: Settings) -> int:
    """How many patients there will be once the run's plan was executed."""
    mapping = mappings.load_for(settings, environments.folder())
    plan = run.load(Plan)
    if plan.scope is not Scope.REIMPORT:
        raise ReimportError(
            "this run re-links alone: it is approved on the command line",
            where=run.where,
            next=f"nexus-reimport relink {run.environment} --approve"
            f" {short(run.load(Proposal).digest)}",
        )
    return plan.entities[mapping.people()].rows_after


# ---------------------------------------------------------------- the headline

_TONES = {
    Verdict.COMPLETE: "good",
    Verdict.PARTIAL: "attention",
    Verdict.UNDONE: "attention",
}


def _headline(
    run: Run, verdict: Verdict, refusals: tuple[Refusal, ...], damaged: tuple[str, ...]
) -> tuple[str, str]:
    if verdict is not Verdict.WAITING:
        return run.headline(), _TONES.get(verdict, "bad")
    if damaged:
        return "NO-GO: its record was changed; it cannot be approved", "bad"
    if run.kind == "rollback":  # which has no digest below
        return run.headline(), "attention"
    if refusals:
        return "GO, but its approval is refused until the gates below are open", "attention"
    return "GO, once somebody approves it below; nothing was written", "good"


def _is_stopped_by_checks(run: Run, verdict: Verdict, before: Report | None) -> bool:
    """Whether it is the checks before the plan was proposed that have stopped it."""
    failed = journal.cause(run.events())
    if failed is None or verdict is not Verdict.STOPPED or run.has(Proposal):
        return False
    named = before.blocking if before else ()
    return bool(named) and all(result.check in failed.text("what") for result in named)


# ---------------------------------------------------------------- numbers


def _kind(entity: EntityPlan) -> Kind:
    return Kind(
        name=naming.rows(entity.entity),
        imported=entity.loaded,
        new=entity.new,
        changed=changed(entity),
        kept=entity.kept - entity.undecided,
        undecided=entity.undecided,
        purged=entity.purged,
        misfits=entity.not_stored,
        there_before=entity.rows_before,
        there_after=entity.rows_after,
        fields=tuple(Field(c.column, c.filled_before, c.filled_after) for c in entity.changes),
    )


def _links(links: LinkPlan) -> Links:
    return Links(
        naming.rows(links.attachment),
        links.rows,
        links.file.rows,
        links.reachable_before,
        links.reachable_after,
    )


def _files(run: Run) -> str:
    after = run.loaded(Report, "checks_after")
    result = next((r for r in after.results if r.check == _NO_FILE_LOST), None) if after else None
    if result is None:
        return ""
    was = wording.amount(result.looked_at, "file")
    if result.offending:
        return f"of {was} that were in S3 before, {result.offending:,} are lost or changed"
    return f"all {was} that were in S3 before are there, unchanged"


def _as_before(run: Run) -> str:
    done = run.loaded(Undone)
    if done is None or not run.is_committed():
        return ""
    after = run.loaded(Report, "checks_rollback")
    return attention.as_before(done, after)


def _looks(run: Run, plan: Plan, before: Report | None) -> list[str]:
    """What a person should look at, as the first screen of a page of the runbook has it."""
    return [
        *attention.of_commit(run.loaded(Applied)),
        *attention.of_drift(run.loaded(Drift), run.loaded(Approval)),
        *attention.of_plan(plan, before, with_missing=False, is_committed=run.is_committed()),
        *attention.of_checks(before),
        *(f"waived: {text}" for text in model.waived(partial(run.loaded, Report))),
    ]
