"""However a command ends that begins or continues a run: what the run has come to.

Its errors are told in their own words. A signal, a disk that fails, or what nobody has foreseen can
end it after its COMMIT as well, so what is left is told from the run's journal. The clinic's own
hook is told of each outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexus_reimport import disks, record
from nexus_reimport.errors import (
    ReimportError,
    StopError,
    file_of,
    unforeseen,
)
from nexus_reimport.interrupt import Interrupted
from nexus_reimport.model import Proposal
from nexus_reimport.record import Run, State, anchor
from nexus_reimport.record.run import gone
from nexus_reimport.runbook import maintenance as window
from nexus_reimport.runner import notebook, outcome
from nexus_reimport.runner.news import tell
from nexus_reimport.runner.outcome import CommandOutcome
from nexus_reimport.settings import Settings
from nexus_reimport.stages.approval import is_meant


def of_new(
    settings: Settings, work: Callable[[], CommandOutcome], digest: str = ""
) -> CommandOutcome:
    """What ``work`` gives, which opens a run; whatever ends it, what its run has come to.

    ``digest`` is the one by which it was to continue a run that is there already, if it was.

    Raises:
        Busy: another runner is at work in this environment. Nothing was started.
        RecordGone: the records are not there any more. What the run has left is not known.
        ReimportError: as ``work`` does, as long as its run has left the database as it was.
    """
    others: set[str] | None = None

    def locked() -> CommandOutcome:
        nonlocal others
        with record.at_work(settings):
            others = _others(settings, digest)
            return work()

    def ours() -> Run | None:
        if others is None:
            return None
        if not settings.records_folder.is_dir():  # which the lock in it has made
            raise gone(settings.name, settings.records_folder)
        return next((run for run in record.every(settings) if run.id not in others), None)

    try:
        ended = _whatever_ends_it(settings, locked, ours)
    except ReimportError as error:
        run = ours()
        if run is None or run.state() is State.AS_IT_WAS:
            raise
        # What it says is of its step, such as a file that cannot be read: the run is committed.
        ended = _ended(settings, run, error.what, error.next, error.where)
    return tell(settings, ended)


def of_chosen(
    settings: Settings, run_id: str, step: Callable[[Run], CommandOutcome]
) -> CommandOutcome:
    """The outcome of a step of the run with this id, else of the open one, however it ends."""
    chosen: list[Run] = []

    def work() -> CommandOutcome:
        with record.at_work(settings), window.left_on_error(settings):
            anchor.note_committed(settings)  # which of several is meant may depend on it
            chosen.append(record.find(settings, run_id))
            try:
                return step(chosen[0])
            except ReimportError as error:
                error.state = chosen[0].stated(error.state)  # the run may have written before
                raise

    ended = _whatever_ends_it(settings, work, lambda: chosen[0] if chosen else None)
    return tell(settings, ended)


def waits_for(run: Run, digest: str) -> bool:
    """Whether the run is open, and this digest is that of its proposal."""
    return run.is_open and run.has(Proposal) and is_meant(digest, run.load(Proposal).digest)


def _whatever_ends_it(
    settings: Settings, work: Callable[[], CommandOutcome], ours: Callable[[], Run | None]
) -> CommandOutcome:
    """What ``work`` gives; where none of our own errors ends it, what the run has come to."""
    try:
        return work()
    except ReimportError:
        raise
    except Interrupted as interrupt:
        return _ended(settings, ours(), str(interrupt))
    except Exception as error:
        run = ours()
        if disk := disks.failure(error):
            return _ended(settings, run, disk.what, disk.fix, file_of(error))
        if run is None or run.state() is State.AS_IT_WAS:
            raise
        known = unforeseen(error)
        return _ended(settings, run, known.what, known.next, known.where)


def _others(settings: Settings, digest: str) -> set[str]:
    """The runs that are there, without the open one that this digest continues."""
    return {run.id for run in record.every(settings) if not (digest and waits_for(run, digest))}


def _ended(
    settings: Settings, run: Run | None, what: str, fix: str = "", file: str = ""
) -> CommandOutcome:
    """The outcome of a command that was ended from outside of it; its run stays as it is."""
    if run:
        ended = outcome.of(run, notebook.told_of(run, what, fix, file), settings)
        return replace(ended, exit_code=max(3, ended.exit_code))  # what is worse stays
    error = StopError(
        what,
        where=", ".join(filter(None, (f"environment {settings.name}", file))),
        state="this command had opened no run; nothing was written",
        next="; ".join(
            filter(None, (fix, f"nexus-reimport status {settings.name} shows the rest"))
        ),
    )
    return outcome.without_run(settings, 3, error)
