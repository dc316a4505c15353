"""In a kernel: what ends a cell is shown in four lines, and not as a traceback.

An error of this package is told by its class itself. A name that a page's first cells give, and
that is not there, means that they were not run; an interrupt, or a disk that fails, says what state
is left. The traceback of any other error is not kept in a record. A group of errors is reported as
one, like any other.
"""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from nexus_reimport import disks, record
from nexus_reimport import settings as environments
from nexus_reimport.disks import DiskFailure
from nexus_reimport.errors import (
    ReimportError,
    StopError,
    is_ours,
    unforeseen,
)
from nexus_reimport.record import Run, State
from nexus_reimport.record.notebooks import marks

# What the cells of the pages give to the cells below them.
NAMES = frozenset(
    {"approve", "approve_rehearsed", "approved_by", "book", "done", "environment", "links_only"}
    | {"made", "newer", "proposed", "reason", "rollback", "run_id", "runbook", "saved", "seen"}
    | {"show", "undo_run"}
)
_OPENS = re.compile(r"^book\s*=", re.MULTILINE)
_NEXT = {
    State.AS_IT_WAS: "run this cell again, or begin anew from the top",
    State.UNKNOWN: "nexus-reimport settle ENV asks the database",
    State.COMMITTED: "nexus-reimport finish ENV verifies and seals it",
    State.TAKEN_BACK: "nexus-reimport record list shows what became of it",
}


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython when the kernel starts."""
    handled = (ReimportError, BaseExceptionGroup, NameError, KeyboardInterrupt, OSError)
    shell.set_custom_exc(handled, _display)


def _display(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> list[str]:
    _forget_run(shell)
    ours = _told(shell, error)
    if ours is not None:
        return _show(shell, ours)
    lines: list[str]
    if isinstance(error, BaseExceptionGroup):
        # IPython prints a group, and reports no error: a page would go on as if there was none.
        lines = "".join(traceback.format_exception(error)).splitlines()
    else:
        lines = shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=tb_offset)
    shell._showtraceback(kind, error, lines)  # noqa: SLF001 - IPython has no other way to tell it
    return lines


def _forget_run(shell: Any) -> None:
    """After a cell that should have opened a run: the cells below would show the one of before."""
    if _OPENS.search(shell.user_ns.get("In", [""])[-1]):
        shell.user_ns.pop("book", None)


def _told(shell: Any, error: BaseException) -> ReimportError | None:
    """The error in our four lines; None for one that is not ours to tell."""
    if isinstance(error, ReimportError):
        return _as_told(shell, error) if is_ours(error) else None
    if isinstance(error, Exception) and (disk := disks.failure(error)):
        return disk_failed(error, disk, _run(shell))
    if _is_the_runners():
        return None  # it has words of its own for a kernel that was interrupted
    if isinstance(error, KeyboardInterrupt):
        return interrupted(_run(shell))
    if isinstance(error, NameError) and error.name in NAMES - shell.user_ns.keys():
        return not_run(str(error.name))
    return None


def _as_told(shell: Any, error: ReimportError) -> ReimportError:
    run = _run(shell) or _executed()
    if run is None:
        return error
    error.state = run.stated(error.state)
    return run.as_told(error)


def _run(shell: Any) -> Run | None:
    """The run that the page has opened."""
    run: Run | None = getattr(shell.user_ns.get("book"), "run", None)
    return run


def _executed() -> Run | None:
    """The run whose page the runner executes here, also where the page could not open it."""
    if not _is_the_runners():
        return None
    folder = Path(os.environ[marks.PAGE_VARIABLE])
    try:
        return record.find(environments.load(folder.parent.name), folder.name)
    except ReimportError:
        return None


def interrupted(run: Run | None) -> ReimportError:
    """What an interrupt has left, by the journal of the run that the cell was at work on."""
    if run is None:
        return StopError("this cell was interrupted", next="run the cell at the top again")
    return StopError(
        "this cell was interrupted",
        where=run.where,
        state=f"the database is {run.left()}",
        next=_NEXT[run.state()].replace("ENV", run.environment),
    )


def disk_failed(error: Exception, disk: DiskFailure, run: Run | None) -> ReimportError:
    """What a disk has left that failed, by the journal of the run that the cell was at work on."""
    known = unforeseen(error)
    if run is None:
        return known
    known.state = f"the database is {run.left()}"
    if run.state() is not State.AS_IT_WAS:
        known.next = f"{disk.fix}; {_NEXT[run.state()].replace('ENV', run.environment)}"
    return run.as_told(known)


def not_run(name: str) -> ReimportError:
    """What a cell says that needs what a cell above it gives."""
    return StopError(
        f"`{name}` is not known yet: the kernel was started again, or a cell above was not run, or"
        " has stopped",
        state="this cell has done nothing",
        next="run the cell at the top first, then those below it, in their order",
    )


def _show(shell: Any, error: ReimportError) -> list[str]:
    """Display the error's lines, and end the cell as failed.

    Under the runner the error is reported too: papermill looks for it to know that a page stopped.
    """
    from nexus_reimport.show.failure import displayed

    data, metadata = displayed(error)
    shell.display_pub.publish(data=data, metadata=metadata)
    lines = [f"{type(error).__name__}: {error}"]
    if _is_the_runners():
        shell._showtraceback(type(error), error, lines)  # noqa: SLF001
    else:
        shell._last_traceback = lines  # noqa: SLF001 - the reply says that the cell has failed
    return lines


def _is_the_runners() -> bool:
    return marks.PAGE_VARIABLE in os.environ
