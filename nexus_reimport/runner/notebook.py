"""One page of the runbook, executed by papermill; what became of it is in the run's journal.

papermill marks the cells of a killed kernel as completed, so nothing here looks at a notebook to
learn how it went. What an exception says is kept out of the record unless it is one of ours: the
page as executed then goes to the private folder too.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from nexus_reimport import CHECKOUT, errors
from nexus_reimport.errors import ReimportError, SettingsError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import Run, State, Verdict, journal
from nexus_reimport.runner.interrupt import passed_on

PREFLIGHT, EXECUTE, VERIFY = "01_preflight", "02_execute", "03_verify"
ROLLBACK = "90_rollback"
HOME = ".kernel"  # of the kernels, in the environment's private folder
FOLDER = CHECKOUT / "runbook"
Parameters = Mapping[str, str | bool]
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)
_LINES = ("where", "state", "next")
_STATES = {
    State.AS_IT_WAS: "as it was",
    State.UNKNOWN: "as it was, or holds everything that was approved: not known yet",
    State.COMMITTED: "reimported, and not verified yet",
    State.TAKEN_BACK: "as before the run, which was taken back",
}
_HAPPENED = {
    "what": "the connection was lost at COMMIT, but the COMMIT did happen",
    "state": "committed, not verified yet",
    "next": "go on with 03_verify",
}
_DID_NOT_HAPPEN = {
    "what": "the connection was lost at COMMIT, and the COMMIT did not happen",
    "state": "the database is as it was",
    "next": "look at the server's log, then begin a new run",
}


def check(page: str, parameters: Parameters, folder: Path = FOLDER) -> None:
    """Whether the page has exactly these parameters.

    Raises:
        SettingsError: it has others, or is not there. No kernel was started.
    """
    import papermill

    path = folder / f"{page}.ipynb"
    if not path.is_file():
        raise SettingsError(
            f"the runbook has no page {page}",
            where=str(folder),
            next="run from a checkout: the notebooks are not part of the installed package",
        )
    own = set(papermill.inspect_notebook(str(path)))
    unknown, missing = sorted(parameters.keys() - own), sorted(own - parameters.keys())
    if unknown or missing:
        raise SettingsError(
            f"{page} was given {', '.join(unknown) or 'nothing'} that it does not know,"
            f" and not given {', '.join(missing) or 'nothing'} that it asks for",
            where=f"{page}.ipynb, the cell tagged parameters",
            next="name the parameters in the notebook as the runner gives them",
        )


def execute(run: Run, page: str, parameters: Parameters, folder: Path = FOLDER) -> None:
    """Run one page in a kernel of its own, into the run's folder, and make its HTML.

    Raises nothing that the page raised: that is in the journal when this returns.
    """
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    output = _new_file(run.folder, page)
    known = len(run.events())
    try:
        with _own_home(run.private.parent), passed_on():
            _papermill(folder / f"{page}.ipynb", output, parameters)
    except (PapermillExecutionError, CellExecutionError) as error:
        if not journal.only(run.events()[known:], Event.FAILED):
            run.journal(Event.FAILED, stage=page, **_told(error.ename, error.evalue))
    except DeadKernelError:
        if not journal.only(run.events()[known:], Event.FAILED):  # else it has said why
            run.journal(Event.FAILED, stage=page, kind="DeadKernel", **_killed("the kernel died"))
    except (KeyboardInterrupt, SystemExit) as error:
        run.journal(Event.FAILED, stage=page, kind=type(error).__name__, **_killed("interrupted"))
    except Exception as error:
        # A kernel that did not start, or a channel that broke: the stages' own word goes first.
        if not journal.only(run.events()[known:], Event.FAILED):
            run.journal(Event.FAILED, stage=page, **_told(type(error).__name__, ""))
    try:
        _tidy(run, output)
    except Exception as error:
        # The page is only a picture of the run: its journal stays the truth.
        run.journal(Event.UNTIDY, page=page, kind=type(error).__name__)


def told_of(run: Run, what: str) -> str:
    """What has happened to the run, with the state that its journal knows and what is next."""
    lines = {"where": f"environment {run.environment}, run {run.id}"}
    lines |= {"state": f"the database is {_STATES[run.state()]}", "next": _next(run)}
    return str(ReimportError(what, **lines))


def _next(run: Run) -> str:
    if run.state() is State.COMMITTED:
        return f"nexus-reimport finish {run.environment} verifies and seals it"
    if run.state() is State.UNKNOWN:
        return f"nexus-reimport settle {run.environment} asks the database"
    if run.verdict() is Verdict.WAITING:
        return "the run still waits for its approval"
    return "begin a new run; nexus-reimport record list shows what became of this one"


def latest(run: Run, page: str) -> str:
    """The newest copy of ``page`` in the record, as a path; its name where none was executed."""
    made = [*run.folder.glob(f"{page}.html"), *run.folder.glob(f"{page}-*.html")]
    return str(max(made, key=lambda path: (len(path.name), path.name))) if made else page


def html(path: Path) -> str:
    """An executed notebook as one HTML file without scripts: it asks no other host for anything."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True)  # type: ignore[no-untyped-call]
    text, _ = exporter.from_filename(str(path))
    return _SCRIPT.sub("", str(text))


def last_error(run: Run) -> str:
    """The last error that was not made good since, in its four lines; "" where there is none.

    A doubt is told as long as it is one: once the database was asked, what it said is told.
    """
    events = run.events()
    failed = journal.last_failure(events)
    if failed is None:
        return ""
    told = failed.line
    settled = journal.settlement(events, failed)
    if failed.text("kind") == "InDoubt" and settled is not None:
        told = _HAPPENED if settled else _DID_NOT_HAPPEN
    if not told.get("state"):  # of an error that no stage of ours has raised
        return told_of(run, str(told["what"]))
    lines = {name: str(told.get(name, "")) for name in _LINES}
    return str(ReimportError(str(told["what"]), **lines))


def _papermill(page: Path, output: Path, parameters: Parameters) -> None:
    import papermill
    from traitlets.config import Config

    config = Config()
    config.KernelManager.transport_encryption = "required"  # else plain TCP on loopback
    papermill.execute_notebook(
        str(page),
        str(output),
        parameters=dict(parameters),
        kernel_name="python3",
        cwd=str(page.parent),
        progress_bar=False,
        log_output=False,
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
    named = {
        name: str(home / name.lower())
        for name in (
            "IPYTHONDIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_RUNTIME_DIR",
        )
    } | {"TMPDIR": str(home)}
    changed = (*named, "JUPYTER_PATH", "JUPYTER_PREFER_ENV_PATH")
    before = {name: os.environ.pop(name) for name in changed if name in os.environ}
    os.environ.update(named)
    temporary, tempfile.tempdir = tempfile.tempdir, str(home)
    try:
        yield
    finally:
        tempfile.tempdir = temporary
        for name in named:
            del os.environ[name]
        os.environ.update(before)
        # A kernel that is on its way out may still write there; the next page sweeps up.
        shutil.rmtree(home, ignore_errors=True)


def _new_file(folder: Path, page: str) -> Path:
    """A file that was not there: a page that is run again gets a name of its own."""
    names = (page, *(f"{page}-{number}" for number in range(2, 100)))
    path = next(p for p in (folder / f"{name}.ipynb" for name in names) if not p.exists())
    private.write_new(path, b"")
    return path


def _killed(what: str) -> dict[str, Any]:
    return {"what": what, "killed": True, "exit_code": 3}


def _told(name: str, text: str) -> dict[str, Any]:
    """What the journal says of an exception that no stage has journalled."""
    if not _is_ours(name):
        return {"kind": name, "what": f"an unforeseen {name}", "exit_code": 3}
    kind: type[ReimportError] = getattr(errors, name)
    what, *rest = text.splitlines()
    told: dict[str, Any] = {"kind": name, "what": what, "exit_code": kind.exit_code}
    for line in rest:
        label, _, said = line.strip().partition(":")
        if line.startswith("  ") and label in _LINES:
            told[label] = said.strip()
        else:
            told["what"] += f"\n{line}"
    return told


def _is_ours(name: str) -> bool:
    kind = getattr(errors, name, None)
    return isinstance(kind, type) and issubclass(kind, ReimportError)


def _tidy(run: Run, path: Path) -> None:
    """Make the page fit for the record, then its HTML. One that cannot be read stays as it is."""
    try:
        page = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.reader.NotJSONError, nbformat.ValidationError):
        return
    failed = [o for c in page.cells for o in c.get("outputs", []) if o.output_type == "error"]
    if failed:
        private.make_folder(run.private)
        private.replace(run.private / path.name, path.read_bytes())
        for output in failed:
            _without_values(output)
        nbformat.write(page, path)  # type: ignore[no-untyped-call]
    path.chmod(private.FILE)
    private.write_new(path.with_suffix(".html"), html(path).encode())


def _without_values(output: Any) -> None:
    """An error as the record may hold it: ours in its four lines, others by their name alone."""
    if not _is_ours(output.ename):
        output.evalue = "its text and traceback are in the run's private folder"
    output.traceback = [f"{output.ename}: {output.evalue}"]
