"""One page of the runbook, executed by papermill; what became of it is in the run's journal.

papermill marks the cells of a killed kernel as completed, so nothing here looks at a notebook to
learn how it went. A page is executed in the run's private folder, and stays there; a clean copy of
it comes into the record (``record.notebooks.pages``).
"""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nexus_reimport import environ, naming
from nexus_reimport.disks import MEMORY
from nexus_reimport.errors import (
    LINES,
    WAS_KILLED,
    ReimportError,
    SettingsError,
)
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.interrupt import passed_on
from nexus_reimport.record import Run, State, Verdict, journal
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.notebooks import marks, pages
from nexus_reimport.record.verdict import UNFINISHED
from nexus_reimport.runbook import steps
from nexus_reimport.runner import kernel_home

PREFLIGHT, EXECUTE, VERIFY, ROLLBACK = pages.ALL
HOME = ".kernel"  # of the kernels, in the environment's private folder
FOLDER = pages.FOLDER
# A kernel's ports are chosen before it listens on them: another process can take one in between.
STARTS = 3
_DIED_AT_ITS_START = "Kernel died before replying to kernel_info"  # jupyter_client's own words
_SILENT = re.compile(r"Kernel didn't respond in (\d+) seconds")  # likewise
Parameters = Mapping[str, str | bool]


def check(page: str, parameters: Parameters, folder: Path = FOLDER) -> None:
    """Whether the page has exactly these parameters.

    Raises:
        SettingsError: it has others, or is not there. No kernel was started.
    """
    own = parameters_of(path_of(page, folder))
    unknown, missing = sorted(parameters.keys() - own), sorted(own - parameters.keys())
    if unknown or missing:
        off = [f"{name} is none of its own" for name in unknown]
        off += [f"{name} is missing" for name in missing]
        raise SettingsError(
            f"the parameters given to {page} do not fit: {', '.join(off)}",
            where=f"{page}.ipynb, the cell tagged parameters",
            next="name the parameters in the notebook as the runner gives them",
        )


def path_of(page: str, folder: Path = FOLDER) -> Path:
    """Where a page of the runbook lies.

    Raises:
        SettingsError: it is not there. Nothing was written.
    """
    path = folder / f"{page}.ipynb"
    if not path.is_file():
        raise SettingsError(
            f"the runbook has no page {page}",
            where=str(folder),
            next="run from a checkout: the notebooks are not part of the installed package",
        )
    return path


def parameters_of(path: Path) -> set[str]:
    """The names that a page assigns in its cell tagged ``parameters``; none where no cell is.

    papermill finds the same, but its import takes a second and a half, before the first line that a
    person reads.
    """
    cells = json.loads(path.read_bytes())["cells"]
    tagged = (c for c in cells if "parameters" in c["metadata"].get("tags", ()))
    source = "".join(next(tagged, {"source": ""})["source"])
    used = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))
    return {name.id for name in used if isinstance(name.ctx, ast.Store)}


def execute(run: Run, page: str, parameters: Parameters, folder: Path = FOLDER) -> None:
    """Run one page in a kernel of its own; a clean copy and its HTML come into the record.

    Raises nothing that the page raised: that is in the journal when this returns.
    """
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    name = pages.free_name(run.folder, run.private, page)
    output = private.make_folder(run.private / pages.EXECUTED) / f"{name}.ipynb"
    # Created by us, exclusively: papermill would overwrite a page that is there.
    private.write_new(output, b"")
    # What was journalled before belongs to another page.
    known = len(run.events())
    try:
        with _own_home(run.private.parent), _as_page_of(run), passed_on():
            _papermill(folder / f"{page}.ipynb", output, parameters)
    except (PapermillExecutionError, CellExecutionError) as error:
        if not run.has_failed_since(known):
            run.journal(Event.FAILED, stage=page, **_stopped(run, output, error.ename))
    except DeadKernelError:
        if not run.has_failed_since(known):  # else it has said why
            died = _killed("the kernel died") | {"kind": "DeadKernel", "next": WAS_KILLED}
            run.journal(Event.FAILED, stage=page, **died)
    except (KeyboardInterrupt, SystemExit) as error:
        run.journal(Event.FAILED, stage=page, kind=type(error).__name__, **_killed("interrupted"))
    except Exception as error:
        # A kernel that did not start, or a channel that broke: the stages' own word goes first.
        if not run.has_failed_since(known):
            run.journal(Event.FAILED, stage=page, **journal.failure(error))
    try:
        pages.move_in(run.folder, run.private, name)
    except Exception as error:
        # The page is only a picture of the run: its journal stays the truth.
        run.journal(Event.UNTIDY, page=name, kind=type(error).__name__)


def told_of(run: Run, what: str, fix: str = "", file: str = "") -> str:
    """What has happened to the run, with the state that its journal knows and what is next."""
    todo = f"{fix}; {_next(run)}" if fix else _next(run)
    places = (f"environment {run.environment}", f"run {run.id}", file)
    lines = {"where": ", ".join(filter(None, places))}
    lines |= {"state": f"the database is {run.left()}", "next": todo}
    return str(ReimportError(what, **lines))


def _next(run: Run) -> str:
    shown = f"nexus-reimport record show {run.environment} --run {run.id}"
    if run.is_sealed and run.state() is not State.AS_IT_WAS:
        return f"its record is sealed: {shown}"
    if run.state() is State.COMMITTED:
        return f"nexus-reimport finish {run.environment} verifies and seals it"
    if run.state() is State.UNKNOWN:
        return f"nexus-reimport settle {run.environment} asks the database"
    if run.verdict() is Verdict.WAITING and not run.is_sealed:
        return "the run still waits for its approval"
    return f"{run.again} begins a new run; {shown} shows what became of this one"


def latest(run: Run, page: str) -> str:
    """The newest copy of ``page`` in the record, as a path; its name where none was executed."""
    copies = [*run.folder.glob(f"{page}.html"), *run.folder.glob(f"{page}-*.html")]
    return str(max(copies, key=lambda path: naming.turn(path.name))) if copies else page


def last_error(run: Run) -> str:
    """The last error that was not made good since, in its four lines; "" where there is none.

    A doubt is told as long as it is one: once the database was asked, what it said is told. A kill
    has no line of its own in the journal: a stage without an end, on which nobody works, is one.
    """
    events = run.events()
    failed, verdict = journal.cause(events), run.verdict()
    if journal.broken_off(events) and verdict is not Verdict.COMPLETE:
        return "" if run.workers() else told_of(run, journal.ended_by(events))
    if failed is None:
        is_left = run.is_open and verdict in (*UNFINISHED, Verdict.PARTIAL) and not run.workers()
        return told_of(run, _left_off(events)) if is_left else ""
    error = failed.line
    settled = journal.settlement(events, failed)
    if failed.text("kind") == "InDoubt" and settled is not None:
        return str(steps.settled(run, is_committed=settled))
    if not error.get("state"):  # of an error that no stage of ours has raised
        rest = (str(error.get(name, "")) for name in ("next", "where"))
        return told_of(run, str(error["what"]), *rest)
    lines = {name: str(error.get(name, "")) for name in LINES}
    lines["state"] = run.stated(lines["state"])
    return str(ReimportError(str(error["what"]), **lines))


def _left_off(events: Sequence[Entry]) -> str:
    """That a run has come to no end, and after which of its steps nobody went on with it."""
    ended = [entry.stage for entry in events if entry.event is Event.FINISHED]
    last = f"its last step that ended is “{naming.stage(ended[-1])}”" if ended else "it has no step"
    return f"nobody is at work on it, and it is not finished: {last}"


def _papermill(page: Path, output: Path, parameters: Parameters, starts: int = STARTS) -> None:
    """Execute the page in a kernel; one that died before its first cell is started anew."""
    log = output.with_suffix(".log")
    try:
        _in_a_kernel(page, output, parameters, log)
    except RuntimeError as error:
        if silent := _SILENT.match(str(error)):
            raise ReimportError(
                f"the kernel did not answer within {silent[1]} seconds",
                where=str(log),
                state="",
                next="see whether this machine is overloaded, or its limits are too low (uptime,"
                " ulimit -a)",
            ) from error
        if str(error) != _DIED_AT_ITS_START:
            raise
        if starts == 1:
            raise ReimportError(
                f"no kernel could be started: each of {STARTS} died before the page's first cell",
                where=str(log),
                state="",  # the run's own, which the journal knows
                next="its last lines say why; correct that, such as too little memory",
            ) from error
        _papermill(page, output, parameters, starts - 1)


def _in_a_kernel(page: Path, output: Path, parameters: Parameters, log: Path) -> None:
    import papermill
    from traitlets.config import Config

    # On a slow machine it warns that it saves the page less often, in words that help nobody.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    config = Config()
    config.KernelManager.transport_encryption = "required"  # else plain TCP on loopback
    config.NotebookClient.kernel_manager_class = "nexus_reimport.runner.kernel_manager.QuietManager"
    config.QuietManager.place = str(log)
    papermill.execute_notebook(
        str(page),
        str(output),
        parameters=dict(parameters),
        # The kernel that a page names could be one that only its last editor had.
        kernel_name="python3",
        cwd=str(page.parent),
        progress_bar=False,
        log_output=False,
        # papermill's own 30 s would lose the output of a cell that is killed before.
        autosave_cell_every=2,
        config=config,
    )


@contextmanager
def _own_home(folder: Path) -> Iterator[None]:
    """Nobody's start-up files, kernels or history, and no temporary file anywhere else.

    The folder has one name for all runs of an environment, of which one is at work at a time: what
    a killed runner left there, keys of its kernel's channel among it, goes with the next page.
    """
    home = folder / HOME
    shutil.rmtree(home, ignore_errors=True)
    private.new_folder(home)
    temporary, tempfile.tempdir = tempfile.tempdir, str(home)
    umask = os.umask(0o077)  # for what kernels and papermill write; a kill leaves it there
    try:
        # Both could bring a kernel of somebody else's.
        with environ.changed(
            kernel_home.variables(home), gone=("JUPYTER_PATH", "JUPYTER_PREFER_ENV_PATH")
        ):
            yield
    finally:
        tempfile.tempdir = temporary
        os.umask(umask)
        # A kernel that is on its way out may still write there; the next page sweeps up.
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _as_page_of(run: Run) -> Iterator[None]:
    """What the kernel displays is of ``run``, even before it has opened it."""
    with environ.changed({marks.PAGE_VARIABLE: str(run.private)}):
        yield


def _killed(what: str) -> dict[str, Any]:
    return {"what": what, "killed": True, "exit_code": 3}


def _stopped(run: Run, output: Path, name: str) -> dict[str, Any]:
    """What the journal says of an exception that no stage has journalled.

    Only the page itself tells whether it is one of ours: its name can be anybody's.
    """
    try:
        stop = pages.stop_of(run.private, pages.read(output))
    except (OSError, ValueError):
        stop = {}
    return stop if stop.get("kind") == name else _unforeseen(name)


def _unforeseen(name: str) -> dict[str, Any]:
    if name == MemoryError.__name__:  # too little was left for the page to tell of it
        return {"kind": name, "what": MEMORY.what, "next": MEMORY.fix, "exit_code": 3}
    return journal.unforeseen(name)
