"""Preflight, execute, verify, environment by environment, and the seal at the end of each.

The verdict is the journal's, whatever the notebooks look like. A run that is committed but not
verified, or in doubt, is not sealed: ``finish`` goes on with it. However a command ends, it has
taken the maintenance window down, or says how a person does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nexus_reimport import record, runbook, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import (
    RecordError,
    ReimportError,
    SettingsError,
    StopError,
    TargetError,
)
from nexus_reimport.events import Event
from nexus_reimport.model import Proposal, Refusal, Scope
from nexus_reimport.record import Run, Verdict
from nexus_reimport.runbook import maintenance as window
from nexus_reimport.runbook import opening, rollback
from nexus_reimport.runner import notebook
from nexus_reimport.runner.advice import advice
from nexus_reimport.runner.interrupt import Interrupted
from nexus_reimport.runner.notebook import EXECUTE, PREFLIGHT, VERIFY
from nexus_reimport.runner.watch import Say, watching
from nexus_reimport.settings import EnvironmentKind, Settings
from nexus_reimport.stages import approval
from nexus_reimport.stages.approval import is_meant, short

Ask = Callable[[Run, Proposal], str]
_STAYS_OPEN = (Verdict.COMMITTED_UNVERIFIED, Verdict.IN_DOUBT, Verdict.WAITING)
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one environment; ``run`` is empty where none was started."""

    environment: str
    run: str
    verdict: Verdict | None
    exit_code: int
    sealed: bool
    record: str
    error: str
    advice: str
    summary: str
    window: str = ""  # what a person must do where the maintenance window is still up


@dataclass(frozen=True, slots=True)
class Consent:
    """How a run may get from the preflight to the execution."""

    digest: str = ""
    rehearsed: bool = False
    ask: Ask | None = None
    links_only: bool = False


def run(
    names: Sequence[str],
    *,
    approve: str = "",
    approve_rehearsed: bool = False,
    links_only: bool = False,
    ask: Ask | None = None,
    progress: Say | None = None,
) -> list[Outcome]:
    """The whole sequence on each environment, until one is not COMPLETE.

    ``approve`` goes on with the open run whose proposal it names. Without any consent a run ends
    after its preflight and stays open. ``ask`` gets the run and its proposal, and gives what a
    person typed. ``links_only`` fixes the links of documents and images, and does nothing else.

    Raises:
        SettingsError: an environment or a notebook is not as it must be. Nothing was started.
    """
    chosen = [environments.load(name) for name in names]
    _refuse(chosen, approve, rehearsed=approve_rehearsed)
    for page in (PREFLIGHT, EXECUTE, VERIFY):
        notebook.check(page, _parameters(page))
    consent = Consent(approve.strip().lower(), approve_rehearsed, ask, links_only)
    outcomes: list[Outcome] = []
    for settings in chosen:
        outcomes.append(_run_one(settings, consent, progress))
        if outcomes[-1].verdict is not Verdict.COMPLETE:
            break
    return outcomes


def finish(name: str, run_id: str = "", progress: Say | None = None) -> Outcome:
    """Settle a run in doubt, verify a committed one, seal it."""
    settings = environments.load(name)
    notebook.check(VERIFY, _parameters(VERIFY))
    with record.at_work(settings), window.left_on_error(settings):
        found = record.find(settings, run_id)
        found.require_open()
        found.require_idle()
        settle_doubt(found)
        if found.kind == "rollback":
            rollback.finish(found)
        elif found.verdict() is Verdict.COMMITTED_UNVERIFIED:
            _execute(found, VERIFY, progress)
        elif found.verdict() in (Verdict.WAITING, Verdict.PARTIAL) and found.has(Proposal):
            raise StopError(
                f"run {found.id} has been executed by nobody: there is nothing to finish",
                where=f"environment {name}",
                next=f"{_how_to_approve(found)}; or give it up: nexus-reimport seal {name}",
            )
        return close(found)


def settle(name: str, run_id: str = "") -> Outcome:
    """Ask the database whether a run in doubt was committed; it stays open."""
    settings = environments.load(name)
    with record.at_work(settings), window.left_on_error(settings):
        found = record.find(settings, run_id)
        if found.verdict() is Verdict.IN_DOUBT:
            runbook.reopen(name, found.id).settle()
        window.leave(settings)
        return outcome(found)


def seal(name: str, run_id: str = "") -> Outcome:
    """Close an open run as it is, whatever its verdict."""
    settings = environments.load(name)
    with record.at_work(settings), window.left_on_error(settings):
        found = record.find(settings, run_id)
        found.require_idle()
        return _sealed(found)


def _refuse(chosen: Sequence[Settings], approve: str, *, rehearsed: bool) -> None:
    if approve and len(chosen) != 1:
        raise SettingsError(
            f"one digest cannot approve {len(chosen)} environments",
            next="run them one by one, each with its own digest",
        )
    for settings in chosen:
        if (
            rehearsed
            and not approve
            and settings.kind is EnvironmentKind.PROD
            and not settings.sandbox
        ):
            raise SettingsError(
                f"--approve-rehearsed is for dev environments, and {settings.name} is prod",
                next=f"run {settings.name} without it, read its 01_preflight, approve its digest",
            )


def _run_one(settings: Settings, consent: Consent, say: Say | None) -> Outcome:
    try:
        with record.at_work(settings), window.left_on_error(settings):
            return _sequence(settings, consent, say)
    except ReimportError as error:  # before a run was there to journal it
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
    except Interrupted as interrupt:
        return _interrupted(settings, interrupt)


def _interrupted(settings: Settings, interrupt: Interrupted) -> Outcome:
    """What became of the run that a signal has ended between two pages; it stays as it is."""
    runs = record.open_runs(settings)
    if runs:
        return outcome(runs[-1], notebook.told_of(runs[-1], str(interrupt)))
    error = StopError(
        str(interrupt),
        where=f"environment {settings.name}",
        state="no run is open",
        next="nexus-reimport record list shows what was run",
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
        made = _waiting(settings, consent.digest)
        window.leave(settings)
        approval.refuse(_refusals(made))
    else:
        kind = Scope.RELINK if consent.links_only else Scope.REIMPORT
        made = opening.create(settings, kind)
        _execute(made, PREFLIGHT, say)
        if made.verdict() is not Verdict.WAITING or _refusals(made):
            return close(made)
    digest = consent.digest or _asked(made, consent)
    if not digest and not consent.rehearsed:
        return outcome(made)
    _execute(made, EXECUTE, say, digest, rehearsed=consent.rehearsed and not digest)
    settle_doubt(made)
    if made.verdict() is Verdict.COMMITTED_UNVERIFIED:
        _execute(made, VERIFY, say)
    return close(made)


def _waiting(settings: Settings, digest: str) -> Run:
    """The environment's open run whose proposal ``digest`` names.

    Raises:
        StopError: there is none; a new preflight would have another digest.
    """
    for candidate in record.open_runs(settings):
        if candidate.has(Proposal) and is_meant(digest, candidate.load(Proposal).digest):
            return candidate
    raise StopError(
        f"no open run of {settings.name} has a proposal of that digest",
        state="nothing was started",
        next=f"nexus-reimport run {settings.name}, read its 01_preflight, approve its own digest",
    )


def _refusals(made: Run) -> tuple[Refusal, ...]:
    """What the gate would refuse an approval of this run for, as things are now."""
    return runbook.reopen(made.environment, made.id).refusals()


def _asked(made: Run, consent: Consent) -> str:
    if consent.rehearsed or consent.ask is None:
        return ""
    proposal = made.load(Proposal)
    for _ in range(_TRIES):
        typed = consent.ask(made, proposal).strip().lower()
        if not typed or is_meant(typed, proposal.digest):
            return typed
    return ""


def _parameters(
    page: str, environment: str = "", run_id: str = "", digest: str = "", *, rehearsed: bool = False
) -> notebook.Parameters:
    both: dict[str, str | bool] = {"environment": environment, "run_id": run_id}
    if page == PREFLIGHT:
        both |= {"links_only": False}  # the run knows: it has been opened already
    if page == EXECUTE:
        both |= {"approve": digest, "approve_rehearsed": rehearsed}
    return both


def _execute(
    made: Run, page: str, say: Say | None, digest: str = "", *, rehearsed: bool = False
) -> None:
    if say:
        say(f"{made.environment}: {page}, run {made.id}")
    given = _parameters(page, made.environment, made.id, digest, rehearsed=rehearsed)
    with made.at_work(), watching(made, say):
        notebook.execute(made, page, given)


def settle_doubt(made: Run) -> None:
    """Ask the database about a run in doubt; one that cannot be asked leaves it in doubt."""
    if made.verdict() is not Verdict.IN_DOUBT:
        return
    try:
        runbook.reopen(made.environment, made.id).settle()
    except (TargetError, StopError) as error:
        made.journal(Event.UNSETTLED, what=error.what)


def close(made: Run) -> Outcome:
    """Seal the run, unless a person must decide first; what became of it."""
    if made.verdict() in _STAYS_OPEN:
        window.leave(environments.load(made.environment))
        return outcome(made)
    return _sealed(made)


def _sealed(made: Run) -> Outcome:
    try:
        runbook.reopen(made.environment, made.id).seal()
    except (TargetError, StopError) as error:  # sealed; the database has not got the seal
        return outcome(made, str(error))
    return outcome(made)


def outcome(made: Run, error: str = "") -> Outcome:
    """What became of the run."""
    verdict = made.verdict()
    complete = verdict is Verdict.COMPLETE
    return Outcome(
        environment=made.environment,
        run=made.id,
        verdict=verdict,
        exit_code=made.exit_code(),
        sealed=made.is_sealed,
        record=str(made.folder),
        error=error or ("" if complete else notebook.last_error(made)),
        advice=_how_to_approve(made) if _waits(made) else advice(verdict, made),
        summary=_summary(made),
        window=window.still_up(environments.load(made.environment)),
    )


def _summary(made: Run) -> str:
    try:
        return show.summary(made)
    except RecordError:  # killed while it wrote a value
        return ""


def _waits(made: Run) -> bool:
    return made.verdict() is Verdict.WAITING and not made.is_sealed


def _how_to_approve(made: Run) -> str:
    """What a person does about a run that waits: first what would refuse the approval."""
    digest = short(made.load(Proposal).digest)
    word = "relink" if made.kind == Scope.RELINK else "run"
    steps = f"read {notebook.latest(made, PREFLIGHT)}, then:"
    command = f"nexus-reimport {word} {made.environment} --approve {digest}"
    refused = [f"  {r.what}: {r.next}" for r in _refusals(made)]
    if not refused:
        return f"{steps} {command}"
    return "\n".join(
        ["an approval is refused until this is settled:", *refused, steps, f"  {command}"]
    )
