"""Preflight, execute, verify, environment by environment, and the seal at the end of each.

The verdict comes from the journal, never from the notebooks: papermill marks the cells of a killed
kernel as completed. A run that is committed but not verified, or in doubt, is not sealed:
``finishing`` continues it. However a command ends, it has taken the maintenance window down, or it
says how a person can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nexus_reimport import mapping as mappings
from nexus_reimport import record, runbook, wording
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError, SettingsError, StopError
from nexus_reimport.model import Proposal, Refusal, RollbackProposal, Scope
from nexus_reimport.model.approval import short
from nexus_reimport.record import Run, State, Verdict, journal, statements
from nexus_reimport.runbook import maintenance as window
from nexus_reimport.runbook import opening
from nexus_reimport.runbook.steps import TASKS
from nexus_reimport.runner import ending, executing, finishing, notebook, outcome
from nexus_reimport.runner.notebook import EXECUTE, PREFLIGHT, ROLLBACK, VERIFY
from nexus_reimport.runner.outcome import CommandOutcome
from nexus_reimport.runner.watch import Say
from nexus_reimport.settings import EnvironmentKind, Settings
from nexus_reimport.stages import approval
from nexus_reimport.stages.approval import Consent, is_meant

Ask = Callable[[Run, Proposal], str]
NOTHING_STARTED = "nothing was started"
_TRIES = 3  # times that a person may type the digest


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be done, how it may pass from the preflight to the execution, and who is told."""

    consent: Consent
    ask: Ask | None
    links_only: bool
    say: Say | None


def run(
    names: Sequence[str],
    *,
    approve: str = "",
    approve_rehearsed: bool = False,
    name: str = "",
    reason: str = "",
    links_only: bool = False,
    ask: Ask | None = None,
    progress: Say | None = None,
) -> list[CommandOutcome]:
    """The outcomes of the whole sequence, environment by environment, until one is not COMPLETE.

    ``approve`` continues the open run whose proposal has this digest; ``name`` and ``reason`` are
    of the person who approves. Without consent a run ends after its preflight and stays open.
    ``ask`` gets the run and its proposal, and gives what a person typed. ``links_only`` fixes the
    links of documents and images, and nothing else.

    Raises:
        SettingsError: an environment or a notebook is invalid. Nothing was started.
    """
    consent = Consent(approve.strip().lower(), approve_rehearsed, name, reason)
    # All of them first: a mistake in the last file must not be found out after the first has run.
    chosen = [environments.load(name) for name in names]
    _refuse(chosen, consent)
    executing.check(PREFLIGHT, EXECUTE, VERIFY)
    notebook.path_of(ROLLBACK)  # the way back, before there is something to take back
    order = _Order(consent, ask, links_only, progress)
    outcomes: list[CommandOutcome] = []
    for settings in chosen:
        outcomes.append(_run_one(settings, order))
        # What did not succeed on dev is not tried on prod.
        if outcomes[-1].exit_code:
            break
    return outcomes


def _refuse(chosen: Sequence[Settings], consent: Consent) -> None:
    doubled = sorted(n for n, times in Counter(s.name for s in chosen).items() if times > 1)
    if doubled:
        raise SettingsError(
            f"{', '.join(doubled)} would be run more than once",
            next="name each environment once",
        )
    if consent.typed and len(chosen) != 1:
        raise SettingsError(
            f"one digest cannot approve {wording.amount(len(chosen), 'environment')}",
            next="run one environment at a time, each with its own digest",
        )
    for settings in chosen:
        if (
            consent.rehearsed
            and not consent.typed
            and settings.kind is EnvironmentKind.PROD
            and not settings.sandbox
        ):
            raise SettingsError(
                f"--approve-rehearsed is only for dev environments, and {settings.name} is prod",
                next=f"run {settings.name} without it, read its 01_preflight, then approve its"
                " digest",
            )


def _run_one(settings: Settings, order: _Order) -> CommandOutcome:
    def work() -> CommandOutcome:
        with window.left_on_error(settings):
            return _sequence(settings, order)

    try:
        return ending.of_new(settings, work, order.consent.typed)
    except ReimportError as error:  # before there was a run whose journal could hold it
        return outcome.without_run(settings, error.exit_code, error)


def _sequence(settings: Settings, order: _Order) -> CommandOutcome:
    consent, say = order.consent, order.say
    if consent.typed:
        run = _waiting(settings, order)
        statements.refuse_unfit(settings, consent.name, consent.reason, NOTHING_STARTED)
        window.leave(settings)
        # Not in a page: a refusal there ends the run, and leaves that name in its record.
        mapping = mappings.load_for(settings, environments.folder())
        opening.require_ready(settings, mapping, TASKS[Scope(run.kind)], NOTHING_STARTED)
        approval.refuse(_refusals(run, consent.name))
        opening.require_verifiable(settings, NOTHING_STARTED)
    else:
        kind = Scope.RELINK if order.links_only else Scope.REIMPORT
        if say:
            say(f"{settings.name}: asking the database for its marker and for every right")
        _require_set_up(settings, kind)
        run = opening.create(settings, kind, name=consent.name.strip())
        if say and (closed := journal.closed(run.events())):
            say(f"{settings.name}: {closed}")
        executing.execute(run, PREFLIGHT, say)
        by = consent.name if consent.rehearsed or order.ask else None
        if run.verdict() is not Verdict.WAITING or _refusals(run, by):
            return finishing.close(run, say)
    digest = consent.typed or _asked(run, order)
    if not digest and not consent.rehearsed:
        return outcome.of(run)
    is_rehearsed = consent.rehearsed and not digest
    executing.execute(run, EXECUTE, say, replace(consent, typed=digest, rehearsed=is_rehearsed))
    finishing.settle_doubt(settings, run)
    if run.verdict() is Verdict.COMMITTED_UNVERIFIED:
        executing.execute(run, VERIFY, say)
    return finishing.close(run, say)


def _require_set_up(settings: Settings, kind: Scope) -> None:
    """Stop before there is a record, and before a kernel, if something has to be corrected.

    A server that does not answer is told by the run itself: that it was tried stays on record.

    Raises:
        ReimportError: the mapping, a login, a name or a right. Nothing was started.
    """
    mapping = mappings.load_for(settings, environments.folder())
    try:
        opening.require_ready(settings, mapping, TASKS[kind], NOTHING_STARTED, fitting=True)
    except ReimportError as error:
        if error.exit_code == SettingsError.exit_code:
            raise


def _waiting(settings: Settings, order: _Order) -> Run:
    """The environment's open run whose proposal has the digest that was given.

    Raises:
        StopError: there is none, since a new preflight would have another digest; or it is a full
            reimport, and links alone were asked for. Nothing was started.
    """
    digest = order.consent.typed
    waiting = [run for run in record.open_runs(settings) if run.has(Proposal)]
    for candidate in waiting:
        if ending.waits_for(candidate, digest):
            if order.links_only and Scope(candidate.kind) is not Scope.RELINK:
                raise _is_more(candidate, digest)
            return candidate
    for closed in record.every(settings):
        if closed.has(Proposal) and is_meant(digest, closed.load(Proposal).digest):
            raise _is_closed(closed)
    listed = [f"run {run.id} has {short(run.load(Proposal).digest)}" for run in waiting]
    short_of = approval.too_short(digest)
    begin = f"nexus-reimport {'relink' if order.links_only else 'run'} {settings.name}"
    raise StopError(
        f"the digest is wrong: {short_of}no open run of {settings.name} has it",
        where="; ".join(listed) or f"environment {settings.name}: no run waits for an approval",
        state=NOTHING_STARTED,
        next="read the 01_preflight of the run that you mean, and approve the digest at its end"
        if waiting
        else f"{begin}, read its 01_preflight, then approve its digest",
    )


def _is_more(run: Run, digest: str) -> StopError:
    """The error of a digest that would let more be done than was asked for."""
    return StopError(
        "the digest is that of a full reimport, and relink fixes links alone",
        where=run.where,
        state=f"{NOTHING_STARTED}; that run still waits for its approval",
        next=f"for links alone: nexus-reimport relink {run.environment} begins another run, and"
        " closes that one; to execute that one:"
        f" nexus-reimport run {run.environment} --approve {short(digest)}",
    )


def _is_closed(run: Run) -> StopError:
    """The error of a digest that is right, and whose run cannot be approved any more."""
    show = f"nexus-reimport record show {run.environment} --run {run.id} tells how it ended"
    again = f"; {run.again} begins another" if run.state() is State.AS_IT_WAS else ""
    return StopError(
        f"the run of this digest waits for no approval any more: it is {run.verdict()}",
        where=run.where,
        state=NOTHING_STARTED,
        next=show + again,
    )


def _refusals(run: Run, name: str | None) -> tuple[Refusal, ...]:
    """The reasons for which the gate would refuse an approval of this run now, by ``name``."""
    return runbook.reopen(run.environment, run.id).refusals(name)


def _asked(run: Run, order: _Order) -> str:
    if order.consent.rehearsed or (ask := order.ask) is None:
        return ""
    proposal = run.load(Proposal)
    return typed_digest(lambda: ask(run, proposal), proposal, order.say)


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
