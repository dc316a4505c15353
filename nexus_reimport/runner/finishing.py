"""What is left to do of a run that was opened: settle a doubt, verify, seal its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from nexus_reimport import checks, naming
from nexus_reimport import settings as environments
from nexus_reimport.errors import (
    NOT_BY_THIS_STEP,
    NOTHING_WRITTEN,
    NotClean,
    NotNow,
    NotSaved,
    OnlySealed,
    RecordError,
    SettingsError,
    StopError,
    StorageError,
    TargetError,
)
from nexus_reimport.events import Event
from nexus_reimport.model import Approval, Proposal
from nexus_reimport.record import Run, Verdict, anchor
from nexus_reimport.record.sealed import archive
from nexus_reimport.record.verdict import ENDED
from nexus_reimport.runbook import maintenance as window
from nexus_reimport.runbook import rollback, steps
from nexus_reimport.runbook.steps import SEAL
from nexus_reimport.runner import ending, executing, notebook, outcome
from nexus_reimport.runner.notebook import VERIFY
from nexus_reimport.runner.outcome import CommandOutcome
from nexus_reimport.runner.watch import Say
from nexus_reimport.settings import Settings

T = TypeVar("T")
# A sealed record takes no further step: these runs still need one.
_STAYS_OPEN = (Verdict.COMMITTED_UNVERIFIED, Verdict.IN_DOUBT, Verdict.WAITING)


def finish(name: str, run_id: str = "", progress: Say | None = None) -> CommandOutcome:
    """Settle a run in doubt, verify a committed one, seal it; then what a kill prevented there."""
    settings = _settings(name)
    executing.check(VERIFY)

    def finished(chosen: Run) -> CommandOutcome:
        if chosen.is_sealed and chosen.verdict() in ENDED:
            return _beside_the_seal(settings, chosen)
        chosen.require_open()
        chosen.require_idle()
        if unsettled := settle_doubt(settings, chosen):
            window.leave(settings)
            return outcome.of(chosen, unsettled)
        if chosen.kind == "rollback":
            rollback.finish(chosen)
        elif chosen.verdict() is Verdict.COMMITTED_UNVERIFIED:
            if unfit := _unfit_waivers(settings):
                return outcome.of(chosen, unfit)
            executing.execute(chosen, VERIFY, progress)
        elif chosen.verdict() in (Verdict.WAITING, Verdict.PARTIAL) and chosen.has(Proposal):
            raise NotNow(
                f"run {chosen.id} was not executed: there is nothing to finish",
                where=f"environment {name}",
                next=f"approve it: nexus-reimport status {name} says what that needs;"
                f" or give it up: nexus-reimport seal {name}",
            )
        return close(chosen, progress)

    return ending.of_chosen(settings, run_id, finished)


def _settings(name: str) -> Settings:
    """The environment of a run that may be committed, or in doubt.

    Raises:
        SettingsError: its file is not as it must be. What the run has left is as before.
    """
    return _of_file(name, environments.load)


def _of_file(name: str, load: Callable[[str], T]) -> T:
    try:
        return load(name)
    except SettingsError as error:
        if error.state == NOTHING_WRITTEN:
            error.state = NOT_BY_THIS_STEP
        raise


def settle(name: str, run_id: str = "", progress: Say | None = None) -> CommandOutcome:
    """Ask the database whether a run in doubt was committed; it stays open.

    If the database cannot be asked, the run stays in doubt, and its outcome says why. A mistake in
    a part of the environment's file that this does not need is told, and stops nothing.
    """
    settings, wrong = _of_file(name, environments.load_to_ask)
    if wrong and progress:
        progress(f"{wrong}\n{name}: the database is asked all the same; correct that before finish")

    def settled(chosen: Run) -> CommandOutcome:
        if chosen.verdict() is not Verdict.IN_DOUBT and progress:
            progress(f"{name}: run {chosen.id} is not in doubt; the database was not asked")
        before = notebook.last_error(chosen)
        unsettled = settle_doubt(settings, chosen)
        window.leave(settings)
        done = outcome.of(chosen, unsettled, settings)
        return done if unsettled else _not_now(done, before)

    return ending.of_chosen(settings, run_id, settled)


def seal(name: str, run_id: str = "", *, as_saved: bool = False) -> CommandOutcome:
    """Close an open run as it is, whatever its verdict; of a sealed one do what a kill prevented.

    A page that was stepped through by hand and is not saved is asked for, unless ``as_saved``.
    """
    settings = _settings(name)

    def sealed(chosen: Run) -> CommandOutcome:
        chosen.require_idle()
        before = notebook.last_error(chosen)
        done = (
            _beside_the_seal(settings, chosen)
            if chosen.is_sealed
            else _sealed(settings, chosen, as_saved=as_saved)
        )
        return _not_now(done, before)

    return ending.of_chosen(settings, run_id, sealed)


def _beside_the_seal(settings: Settings, run: Run) -> CommandOutcome:
    """The outcome of a sealed run, once its seal is in the database and it is in the archive.

    Raises:
        RecordError: it is not as it was sealed. Nothing was written.
    """
    if problems := run.problems():
        raise RecordError(
            f"run {run.id} is sealed, and not as it was sealed: {problems[0]}",
            where=f"environment {settings.name}",
            next=f"find out who changed it: nexus-reimport record check {settings.name}",
        )
    window.leave(settings)
    try:
        # One that was closed while the database did not answer may be committed nevertheless.
        if run.is_committed() or run.has(Approval):
            anchor.write(settings, run)
        archive.put_missing(run.bag.parent, settings.record.archive)
    except (OnlySealed, StorageError, StopError, TargetError) as error:
        return outcome.of(run, str(error))
    return outcome.of(run)


def _not_now(done: CommandOutcome, before: str) -> CommandOutcome:
    """The outcome; an error that was the run's before the command began is told as such."""
    if not before or done.error != before:
        return done
    return replace(done, error=f"the error of an earlier step, and not of this command:\n{before}")


def settle_doubt(settings: Settings, run: Run) -> str:
    """Ask the database about a run in doubt; if it cannot be asked, the run stays so: why."""
    anchor.note_committed(settings)
    if run.verdict() is not Verdict.IN_DOUBT:
        return ""
    try:
        steps.settle(settings, run)  # no mapping is needed to ask: it may be broken by now
    except (TargetError, StopError) as error:
        run.journal(Event.UNSETTLED, what=error.what)
        return str(error)
    return ""


def close(run: Run, say: Say | None = None) -> CommandOutcome:
    """The outcome of the run, which is sealed unless a person must decide first."""
    settings = environments.load(run.environment)
    if run.verdict() in _STAYS_OPEN:
        window.leave(settings)
        return outcome.of(run)
    return _sealed(settings, run, say)


def _unfit_waivers(settings: Settings) -> str:
    """Why a waiver of the environment's file can never apply; "" if all can.

    Who has just written one, to accept a check that failed, must not see that check fail again.
    """
    try:
        checks.refuse_wrong_waivers(settings.waivers, "committed, not verified yet")
    except SettingsError as error:
        return str(error)
    return ""


def _sealed(
    settings: Settings, run: Run, say: Say | None = None, *, as_saved: bool = False
) -> CommandOutcome:
    if say:
        say(f"{run.environment}: {naming.stage(SEAL)}")
    settle_doubt(settings, run)  # what the database can say now, nobody can ask of a sealed record
    untrue = ""
    if run.undoes and run.is_committed():
        untrue = rollback.close_undone(settings, run)
    try:
        steps.seal(settings, run, as_saved=as_saved)
    except (NotClean, NotSaved) as failed:
        open_still = outcome.of(run, str(failed))
        return replace(open_still, exit_code=open_still.exit_code or failed.exit_code)
    except (OnlySealed, StorageError, StopError, TargetError) as failed:
        # The record is sealed; its anchor, signature or archive is missing, which is told loudly.
        return outcome.of(run, "\n".join(filter(None, (untrue, str(failed)))))
    return outcome.of(run, untrue)
