"""Preflight, execute, verify, environment by environment, and the seal at the end of each.

The verdict comes from the journal, never from the notebooks: papermill marks the cells of a killed
kernel as completed. A run that is committed but not verified, or in doubt, is not sealed:
``finish`` continues it. However a command ends, it has taken the maintenance window down, or it
says how a person can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nexus_reimport import checks, naming, record, runbook, show, wording
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.errors import (
    DISK_FULL,
    SPACE,
    NotClean,
    NotSaved,
    OnlySealed,
    RecordError,
    ReimportError,
    SettingsError,
    StopError,
    StorageError,
    TargetError,
    file_of,
    is_disk_full,
    unforeseen,
)
from nexus_reimport.events import Event
from nexus_reimport.interrupt import Interrupted
from nexus_reimport.model import Proposal, Refusal, RollbackProposal, Scope
from nexus_reimport.model.approval import short
from nexus_reimport.record import Run, State, Verdict, journal, statements
from nexus_reimport.runbook import maintenance as window
from nexus_reimport.runbook import opening, rollback
from nexus_reimport.runbook.steps import SEAL, TASKS
from nexus_reimport.runner import notebook
from nexus_reimport.runner.advice import advice
from nexus_reimport.runner.notebook import EXECUTE, PREFLIGHT, VERIFY
from nexus_reimport.runner.outcome import Outcome
from nexus_reimport.runner.telling import tell
from nexus_reimport.runner.watch import Say, watching
from nexus_reimport.settings import EnvironmentKind, Settings
from nexus_reimport.stages import approval
from nexus_reimport.stages.approval import is_meant

Ask = Callable[[Run, Proposal], str]
# A sealed record takes no further step: these runs still need one.
_STAYS_OPEN = (Verdict.COMMITTED_UNVERIFIED, Verdict.IN_DOUBT, Verdict.WAITING)
NOTHING_STARTED = "nothing was started"
_TRIES = 3  # times that a person may type the digest


@dataclass(frozen=True, slots=True)
class GivenApproval:
    """What a person who approves gives: the digest, and their name and reason for the record."""

    digest: str = ""
    name: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """How a run may pass from the preflight to the execution."""

    given: GivenApproval = GivenApproval()
    rehearsed: bool = False
    ask: Ask | None = None
    links_only: bool = False

    @property
    def digest(self) -> str:
        """The digest that was given."""
        return self.given.digest


def run(
    names: Sequence[str],
    *,
    approve: str | GivenApproval = "",
    approve_rehearsed: bool = False,
    links_only: bool = False,
    ask: Ask | None = None,
    progress: Say | None = None,
) -> list[Outcome]:
    """The outcomes of the whole sequence, environment by environment, until one is not COMPLETE.

    ``approve`` continues the open run whose proposal it names, a digest alone or with who gives it
    and why. Without consent a run ends after its preflight and stays open. ``ask`` gets the run and
    its proposal, and gives what a person typed. ``links_only`` fixes the links of documents and
    images, and nothing else.

    Raises:
        SettingsError: an environment or a notebook is invalid. Nothing was started.
    """
    signed = approve if isinstance(approve, GivenApproval) else GivenApproval(approve)
    signed = replace(signed, digest=signed.digest.strip().lower())
    # All of them first: a mistake in the last file must not be found out after the first has run.
    chosen = [environments.load(name) for name in names]
    _refuse(chosen, signed.digest, rehearsed=approve_rehearsed)
    for page in (PREFLIGHT, EXECUTE, VERIFY):
        notebook.check(page, _parameters(page))
    consent = Consent(signed, approve_rehearsed, ask, links_only)
    outcomes: list[Outcome] = []
    for settings in chosen:
        outcomes.append(tell(settings, _run_one(settings, consent, progress)))
        # What did not succeed on dev is not tried on prod.
        if outcomes[-1].exit_code:
            break
    return outcomes


def finish(name: str, run_id: str = "", progress: Say | None = None) -> Outcome:
    """Settle a run in doubt, verify a committed one, seal it."""
    settings = environments.load(name)
    notebook.check(VERIFY, _parameters(VERIFY))

    def finished(chosen: Run) -> Outcome:
        chosen.require_open()
        chosen.require_idle()
        if unsettled := settle_doubt(chosen):
            window.leave(settings)
            return outcome(chosen, unsettled)
        if chosen.kind == "rollback":
            rollback.finish(chosen)
        elif chosen.verdict() is Verdict.COMMITTED_UNVERIFIED:
            if unfit := _unfit_waivers(settings):
                return outcome(chosen, unfit)
            _execute(chosen, VERIFY, progress)
        elif chosen.verdict() in (Verdict.WAITING, Verdict.PARTIAL) and chosen.has(Proposal):
            raise StopError(
                f"run {chosen.id} was not executed: there is nothing to finish",
                where=f"environment {name}",
                next=f"approve it: nexus-reimport status {name} says what that needs;"
                f" or give it up: nexus-reimport seal {name}",
            )
        return close(chosen, progress)

    return _with_one(settings, run_id, finished)


def _unfit_waivers(settings: Settings) -> str:
    """Why a waiver of the environment's file can never apply; "" if all can.

    Who has just written one, to accept a check that failed, must not see that check fail again.
    """
    try:
        checks.refuse_wrong_waivers(settings.waivers, "committed, not verified yet")
    except SettingsError as error:
        return str(error)
    return ""


def settle(name: str, run_id: str = "", progress: Say | None = None) -> Outcome:
    """Ask the database whether a run in doubt was committed; it stays open.

    If the database cannot be asked, the run stays in doubt, and its outcome says why.
    """
    settings = environments.load(name)

    def settled(chosen: Run) -> Outcome:
        if chosen.verdict() is not Verdict.IN_DOUBT and progress:
            progress(f"{name}: run {chosen.id} is not in doubt; the database was not asked")
        unsettled = settle_doubt(chosen)
        window.leave(settings)
        return outcome(chosen, unsettled)

    return _with_one(settings, run_id, settled)


def seal(name: str, run_id: str = "", *, as_saved: bool = False) -> Outcome:
    """Close an open run as it is, whatever its verdict.

    A page that was stepped through by hand and is not saved is asked for, unless ``as_saved``.
    """
    settings = environments.load(name)

    def sealed(chosen: Run) -> Outcome:
        chosen.require_idle()
        return _sealed(chosen, as_saved=as_saved)

    return _with_one(settings, run_id, sealed)


def _with_one(settings: Settings, run_id: str, step: Callable[[Run], Outcome]) -> Outcome:
    """The outcome of a step of the run with this id, else of the open one, however it ends."""
    chosen: list[Run] = []

    def work() -> Outcome:
        with record.at_work(settings), window.left_on_error(settings):
            chosen.append(record.find(settings, run_id))
            return step(chosen[0])

    ended = _whatever_ends_it(settings, work, lambda: chosen[0] if chosen else None)
    return tell(settings, ended)


def _refuse(chosen: Sequence[Settings], approve: str, *, rehearsed: bool) -> None:
    if approve and len(chosen) != 1:
        raise SettingsError(
            f"one digest cannot approve {wording.amount(len(chosen), 'environment')}",
            next="run one environment at a time, each with its own digest",
        )
    for settings in chosen:
        if (
            rehearsed
            and not approve
            and settings.kind is EnvironmentKind.PROD
            and not settings.sandbox
        ):
            raise SettingsError(
                f"--approve-rehearsed is only for dev environments, and {settings.name} is prod",
                next=f"run {settings.name} without it, read its 01_preflight, then approve its"
                " digest",
            )


def _run_one(settings: Settings, consent: Consent, say: Say | None) -> Outcome:
    def work() -> Outcome:
        with window.left_on_error(settings):
            return _sequence(settings, consent, say)

    try:
        return ended_well(settings, work, consent.digest)
    except ReimportError as error:  # before there was a run whose journal could hold it
        return Outcome(
            settings.name,
            "",
            None,
            error.exit_code,
            sealed=False,
            record="",
            error=str(error),
            advice="",
            summary="",
            window=window.still_up(settings),
        )


def ended_well(settings: Settings, work: Callable[[], Outcome], digest: str = "") -> Outcome:
    """What ``work`` gives, which opens a run; whatever ends it, what its run has come to.

    ``digest`` is the one by which it was to continue a run that is there already, if it was.

    Raises:
        Busy: another runner is at work in this environment. Nothing was started.
        ReimportError: as ``work`` does, as long as its run has left the database as it was.
    """
    others: set[str] | None = None

    def locked() -> Outcome:
        nonlocal others
        with record.at_work(settings):
            others = _others(settings, digest)
            return work()

    def ours() -> Run | None:
        if others is None:
            return None
        return next((run for run in record.every(settings) if run.id not in others), None)

    try:
        return _whatever_ends_it(settings, locked, ours)
    except ReimportError as error:
        run = ours()
        if run is None or run.state() is State.AS_IT_WAS:
            raise
        # What it says is of its step, such as a file that cannot be read: the run is committed.
        return _ended(settings, run, error.what, error.next, error.where)


def _whatever_ends_it(
    settings: Settings, work: Callable[[], Outcome], ours: Callable[[], Run | None]
) -> Outcome:
    """What ``work`` gives; where none of our own errors ends it, what the run has come to."""
    try:
        return work()
    except ReimportError:
        raise
    except Interrupted as interrupt:
        return _ended(settings, ours(), str(interrupt))
    except Exception as error:
        run = ours()
        if is_disk_full(error):
            return _ended(settings, run, DISK_FULL, SPACE, file_of(error))
        if run is None or run.state() is State.AS_IT_WAS:
            raise
        known = unforeseen(error)
        return _ended(settings, run, known.what, known.next, known.where)


def _others(settings: Settings, digest: str) -> set[str]:
    """The runs that are there, without the open one that this digest continues."""
    ours = [run.id for run in record.open_runs(settings) if digest and _has_digest(run, digest)]
    return {run.id for run in record.every(settings)} - {*ours}


def _has_digest(run: Run, digest: str) -> bool:
    return run.has(Proposal) and is_meant(digest, run.load(Proposal).digest)


def _ended(
    settings: Settings, run: Run | None, what: str, fix: str = "", file: str = ""
) -> Outcome:
    """The outcome of a command that was ended from outside of it; its run stays as it is."""
    if run:
        ended = outcome(run, notebook.told_of(run, what, fix, file), settings)
        return replace(ended, exit_code=max(3, ended.exit_code))  # what is worse stays
    error = StopError(
        what,
        where=", ".join(filter(None, (f"environment {settings.name}", file))),
        state="this command had opened no run; nothing was written",
        next="; ".join(
            filter(None, (fix, f"nexus-reimport status {settings.name} shows the rest"))
        ),
    )
    return Outcome(
        settings.name,
        "",
        None,
        3,
        sealed=False,
        record="",
        error=str(error),
        advice="",
        summary="",
        window=window.still_up(settings),
    )


def _sequence(settings: Settings, consent: Consent, say: Say | None) -> Outcome:
    if consent.digest:
        run = _waiting(settings, consent.digest)
        statements.refuse_unfit(settings, consent.given.name, consent.given.reason, NOTHING_STARTED)
        window.leave(settings)
        # Not in a page: a refusal there ends the run, and leaves that name in its record.
        approval.refuse(_refusals(run, consent.given.name))
    else:
        kind = Scope.RELINK if consent.links_only else Scope.REIMPORT
        if say:
            say(f"{settings.name}: asking the database for its marker and for every right")
        _require_set_up(settings, kind)
        run = opening.create(settings, kind, name=consent.given.name.strip())
        _execute(run, PREFLIGHT, say)
        by = consent.given.name if consent.rehearsed or consent.ask else None
        if run.verdict() is not Verdict.WAITING or _refusals(run, by):
            return close(run, say)
    digest = consent.digest or _asked(run, consent, say)
    if not digest and not consent.rehearsed:
        return outcome(run)
    signed = replace(consent.given, digest=digest)
    _execute(run, EXECUTE, say, signed, rehearsed=consent.rehearsed and not digest)
    settle_doubt(run)
    if run.verdict() is Verdict.COMMITTED_UNVERIFIED:
        _execute(run, VERIFY, say)
    return close(run, say)


def _require_set_up(settings: Settings, kind: Scope) -> None:
    """Stop before there is a record, and before a kernel, if something has to be corrected.

    A server that does not answer is told by the run itself: that it was tried stays on record.

    Raises:
        ReimportError: the mapping, a login, a name or a right. Nothing was started.
    """
    mapping = mappings.load_for(settings, environments.folder())
    try:
        opening.require_ready(settings, mapping, TASKS[kind], NOTHING_STARTED)
    except ReimportError as error:
        if error.exit_code == SettingsError.exit_code:
            raise


def _waiting(settings: Settings, digest: str) -> Run:
    """The environment's open run whose proposal has this digest.

    Raises:
        StopError: there is none; a new preflight would have another digest. Nothing was started.
    """
    waiting = [run for run in record.open_runs(settings) if run.has(Proposal)]
    for candidate in waiting:
        if _has_digest(candidate, digest):
            return candidate
    listed = [f"run {run.id} has {short(run.load(Proposal).digest)}" for run in waiting]
    raise StopError(
        f"the digest is wrong: {approval.too_short(digest)}no open run of {settings.name} has it",
        where="; ".join(listed) or f"environment {settings.name}: no run waits for an approval",
        state=NOTHING_STARTED,
        next="read the 01_preflight of the run that you mean, and approve the digest at its end"
        if waiting
        else f"nexus-reimport run {settings.name}, read its 01_preflight, then approve its digest",
    )


def _refusals(run: Run, name: str | None = None) -> tuple[Refusal, ...]:
    """The reasons for which the gate would refuse an approval of this run now, by ``name``."""
    return runbook.reopen(run.environment, run.id).refusals(name)


def _asked(run: Run, consent: Consent, say: Say | None) -> str:
    if consent.rehearsed or (ask := consent.ask) is None:
        return ""
    proposal = run.load(Proposal)
    return typed_digest(lambda: ask(run, proposal), proposal, say)


def typed_digest(
    ask: Callable[[], str], proposal: Proposal | RollbackProposal, say: Say | None
) -> str:
    """The digest of ``proposal`` as a person types it, who is asked again if it is another one.

    "" if nothing was typed, or never the right one.
    """
    of = "rollback" if isinstance(proposal, RollbackProposal) else "run"
    for _ in range(_TRIES):
        typed = ask().strip().lower()
        if not typed or is_meant(typed, proposal.digest):
            return typed
        if say:
            why = approval.too_short(typed)
            say(f"that is not the digest of this {of}: {why}{NOTHING_STARTED}")
    return ""


def _parameters(
    page: str,
    environment: str = "",
    run_id: str = "",
    signed: GivenApproval = GivenApproval(),
    *,
    rehearsed: bool = False,
) -> notebook.Parameters:
    both: dict[str, str | bool] = {"environment": environment, "run_id": run_id}
    if page == PREFLIGHT:
        both |= {"links_only": False}  # the run is open already, and its record has the scope
    if page == EXECUTE:
        both |= {"approve": signed.digest, "approve_rehearsed": rehearsed}
        both |= {"approved_by": signed.name, "reason": signed.reason}
    return both


def _execute(
    run: Run,
    page: str,
    say: Say | None,
    signed: GivenApproval = GivenApproval(),
    *,
    rehearsed: bool = False,
) -> None:
    if say:
        say(f"{run.environment}: {page}, run {run.id}")
    given = _parameters(page, run.environment, run.id, signed, rehearsed=rehearsed)
    with run.at_work(), watching(run, say, _earlier(run) if say else {}):
        notebook.execute(run, page, given)


def _earlier(run: Run) -> dict[str, float]:
    """Stage -> its seconds in the latest runs of the same kind that came to it."""
    spent: dict[str, float] = {}
    for one in record.every(environments.load(run.environment)):
        if one.id != run.id and one.kind == run.kind:
            spent |= journal.seconds(one.events())
    return spent


def settle_doubt(run: Run) -> str:
    """Ask the database about a run in doubt; if it cannot be asked, the run stays so: why."""
    if run.verdict() is not Verdict.IN_DOUBT:
        return ""
    try:
        runbook.reopen(run.environment, run.id).settle()
    except (TargetError, StopError) as error:
        run.journal(Event.UNSETTLED, what=error.what)
        return str(error)
    return ""


def close(run: Run, say: Say | None = None) -> Outcome:
    """The outcome of the run, which is sealed unless a person must decide first."""
    if run.verdict() in _STAYS_OPEN:
        window.leave(environments.load(run.environment))
        return outcome(run)
    return _sealed(run, say)


def _sealed(run: Run, say: Say | None = None, *, as_saved: bool = False) -> Outcome:
    if say:
        say(f"{run.environment}: {naming.stage(SEAL)}")
    try:
        runbook.reopen(run.environment, run.id).seal(as_saved=as_saved)
    except (NotClean, NotSaved) as error:
        open_still = outcome(run, str(error))
        return replace(open_still, exit_code=open_still.exit_code or error.exit_code)
    except (OnlySealed, StorageError, StopError, TargetError) as error:
        # The record is sealed; its anchor, signature or archive is missing, which is told loudly.
        return outcome(run, str(error))
    return outcome(run)


def outcome(run: Run, error: str = "", settings: Settings | None = None) -> Outcome:
    """The outcome of the run, as its record and the maintenance window are now.

    ``settings``: as they were read before, where their file may not be as it must any more.
    """
    verdict = run.verdict()
    complete = verdict is Verdict.COMPLETE
    return Outcome(
        environment=run.environment,
        run=run.id,
        verdict=verdict,
        exit_code=run.exit_code(),
        sealed=run.is_sealed,
        record=str(run.bag),
        error=error or ("" if complete else notebook.last_error(run)),
        advice=_how_to_approve(run) if _waits(run) else advice(verdict, run),
        summary=_summary(run),
        window=window.still_up(settings or environments.load(run.environment)),
    )


def _summary(run: Run) -> str:
    try:
        return show.summary(run)
    except RecordError:  # the run was killed while it wrote a value
        return ""


def _waits(run: Run) -> bool:
    return run.verdict() is Verdict.WAITING and not run.is_sealed


def _how_to_approve(run: Run) -> str:
    """How to approve a waiting run; first, what to fix so that the approval is accepted."""
    digest = short(run.load(Proposal).digest)
    word = "relink" if run.kind == Scope.RELINK else "run"
    steps = f"read {notebook.latest(run, PREFLIGHT)}, then:"
    command = f"nexus-reimport {word} {run.environment} --approve {digest}"
    command += approval.with_name(environments.load(run.environment))
    refused = [f"  {r.what}: {r.next}" for r in _refusals(run)]
    if not refused:
        return f"{steps} {command}"
    return "\n".join(
        ["an approval is refused until this is fixed:", *refused, steps, f"  {command}"]
    )
