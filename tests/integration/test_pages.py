"""Executed pages: only what our own display functions made for this run comes into the record."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest

from nexus_reimport import forked, record
from nexus_reimport import settings as environments
from nexus_reimport.events import Event
from nexus_reimport.record import Run, Verdict, closing
from nexus_reimport.record.notebooks import marks, pages
from nexus_reimport.runner import finishing, notebook
from support.clinic import Clinic
from support.executing import outputs_of, page_of, run_cells
from support.forking import Command
from support.leaking import files
from support.running import DEV, stage_pid, until

SECRET = "Ms Canary, born 1970-01-01"
SHOWN = "from nexus_reimport import show\nshow.Page('One page', ())"
# What a cell can do -> what is withheld of it, in the words of the note.
FOREIGN = {
    "a print": ("print(text)", {"stdout": 1}),
    "a warning": ("import warnings; warnings.warn(text)", {"stderr": 1}),
    "a logger": ("import logging; logging.error(text)", {"stderr": 1}),
    "a value": ("text", {"result": 1}),
    "a frame": ("import pandas; pandas.DataFrame({'name': [text]})", {"result": 1}),
    "HTML": ("from IPython.display import HTML, display; display(HTML(text))", {"display": 1}),
    "a foreign error": ("raise KeyError(text)", {"error": 1}),
    "a group of errors": (
        "raise ExceptionGroup('several', [ValueError(text), KeyError(text)])",
        {"error": 1},
    ),
    "a group with one of ours in it": (
        "from nexus_reimport.errors import StopError\n"
        "raise ExceptionGroup(text, [StopError('no')])",
        {"error": 1},
    ),
    "one with the name of ours": (
        "class StopError(Exception):\n    exit_code = 1\nraise StopError(text)",
        {"error": 1},
    ),
    "a subclass of ours, made here": (
        "from nexus_reimport.errors import StopError\n"
        "class StopError(StopError):\n    pass\nraise StopError(text)",
        {"error": 1},
    ),
    "a thread's error": (
        "import threading\n"
        "one = threading.Thread(target=lambda: {}[text])\none.start(); one.join()",
        {"stderr": 1},
    ),
    "an error that nobody can catch": (
        "class Odd:\n    def __del__(self):\n        raise ValueError(text)\nOdd(); None",
        {"stderr": 1},
    ),
    "a syntax error": ("exec('if ' + text)", {"error": 1}),
    "another program": ("import os; os.system(f'echo {text!r} > /dev/null')", {"result": 1}),
    "a repr that raises": (
        "class Odd:\n    def __repr__(self):\n        raise ValueError(text)\nOdd()",
        {"error": 1},
    ),
}


def texts_of(run: Run) -> str:
    """All that the record holds."""
    return "".join(text for _, text in files(run.folder))


def withheld(outputs: list[Any]) -> list[dict[str, int]]:
    """What the notes below one cell say."""
    return [marks.facts(o)["withheld"] for o in outputs if "withheld" in marks.facts(o)]


@pytest.fixture
def canary(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> str:
    """Source that reads a value from outside, so that no cell's own text holds it."""
    place = clinic.folder / "canary"
    place.write_text(SECRET)
    monkeypatch.setenv("CANARY", str(place))
    return "import os\ntext = open(os.environ['CANARY']).read()\n"


def test_what_is_not_ours_is_withheld_and_counted(clinic: Clinic, canary: str) -> None:
    run = run_cells(clinic, SHOWN, *(canary + code for code, _ in FOREIGN.values()), goes_on=True)
    first, *others = outputs_of(run)
    assert [o.data["text/plain"].splitlines()[0] for o in first] == ["One page"]
    told = dict(zip(FOREIGN, map(withheld, others), strict=True))
    assert told == {name: [gone] for name, (_, gone) in FOREIGN.items()}
    assert {len(outputs) for outputs in others} == {1}, "and nothing but the note stays"
    assert "Canary" not in texts_of(run)
    assert "Canary" in (run.private / pages.EXECUTED / "page.ipynb").read_text()
    (line,) = [e.line for e in run.events() if e.event is Event.PAGE]
    assert sum(line["withheld"].values()) == sum(sum(gone.values()) for _, gone in FOREIGN.values())


OURS = "from nexus_reimport.errors import StopError\n"
STOP = "StopError('the check failed', where='here', state='as it was', next='wait')"
NAMESAKE = "class StopError(Exception):\n    exit_code = 1\n"


@pytest.mark.parametrize(
    ("source", "verdict", "told"),
    [
        (f"{OURS}raise {STOP}", Verdict.STOPPED, "the check failed"),
        (f"{NAMESAKE}raise StopError(text)", Verdict.FAILED, "an unforeseen StopError"),
        (
            "raise ExceptionGroup(text, [KeyError(text)])",
            Verdict.FAILED,
            "an unforeseen ExceptionGroup",
        ),
    ],
    ids=["one of ours", "another of that name", "a group"],
)
def test_an_error_is_told_by_its_class_and_not_by_its_name(
    clinic: Clinic, canary: str, source: str, verdict: Verdict, told: str
) -> None:
    run = run_cells(clinic, canary + source)
    assert run.verdict() is verdict
    assert notebook.last_error(run).startswith(told)
    assert "Canary" not in texts_of(run)
    (outputs,) = outputs_of(run)
    if verdict is Verdict.STOPPED:
        assert "next:  wait" in notebook.last_error(run)
        assert [marks.facts(o)["what"] for o in outputs] == ["the check failed"]
        assert "next: wait" in (run.folder / "page.html").read_text()


def test_a_mark_is_good_for_one_run_and_one_content(clinic: Clinic) -> None:
    run = run_cells(clinic, SHOWN)
    other = run_cells(clinic, SHOWN)
    ((shown,),) = outputs_of(run)
    assert marks.is_ours(run.private, shown)
    assert not marks.is_ours(other.private, shown)
    edited = nbformat.from_dict(json.loads(json.dumps(shown)))
    edited.data["text/html"] += "<p>Ms Canary</p>"
    assert not marks.is_ours(run.private, edited)
    (run.private.parent / marks.KEY).unlink()
    assert not marks.is_ours(run.private, shown), "without its key nothing is taken for ours"


def test_no_history_is_written_and_no_extension_leaves_anything(clinic: Clinic) -> None:
    source = (
        "import os\nfrom nexus_reimport import show\nfrom pathlib import Path\n"
        "home = Path(os.environ['IPYTHONDIR']).parent\n"
        "show.Page(f'{len(list(home.rglob(\"profile_default\")))} profile,'\n"
        "          f' {len(list(home.rglob(\"history*\")))} histories', ())"
    )
    ((shown,),) = outputs_of(run_cells(clinic, source))
    assert shown.data["text/plain"].startswith("1 profile, 0 histories")


KERNEL = {"name": "python3", "display_name": "Python 3"}


def test_metadata_and_attachments_of_others_do_not_come_in(tmp_path: Path) -> None:
    page = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("words", attachments={"a.txt": {"text/plain": SECRET}}),
            nbformat.v4.new_code_cell("1", metadata={"tags": ["parameters"], "notes": SECRET}),
        ],
        metadata={"widgets": {"state": SECRET}, "kernelspec": KERNEL | {"env": SECRET}},
    )
    assert pages.clean(tmp_path, page) == {}
    assert "Canary" not in str(page)
    assert page.cells[1].metadata == {"tags": ["parameters"]}
    assert page.metadata == {"kernelspec": KERNEL}


def test_a_progress_bar_goes_and_is_not_counted(tmp_path: Path) -> None:
    bar = nbformat.v4.new_output(
        "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    )
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[bar])])
    assert pages.clean(tmp_path, page) == {}
    assert page.cells[0].outputs == []


# ---------------------------------------------------------------- what a kill or a disk leaves


def of_page(run: Run) -> set[str]:
    return {p.name for p in run.folder.iterdir() if "page" in p.name}


def test_a_page_comes_in_at_the_seal_where_a_kill_has_kept_it_out(
    clinic: Clinic, canary: str
) -> None:
    run = run_cells(clinic, SHOWN, canary + "print(text)")
    for path in run.folder.glob("page*"):  # as a kill just before the end leaves it
        path.unlink()
    (run.folder / f".page.html.{os.getpid()}.new").write_text("half of a p")
    closing.close(environments.load(DEV), run)
    assert of_page(run) == {"page.ipynb", "page.html"}
    assert "Canary" not in texts_of(run)
    assert [withheld(outputs) for outputs in outputs_of(run)] == [[], [{"stdout": 1}]]
    assert run.problems() == []


def test_what_was_put_among_the_pages_is_looked_at_before_the_seal(
    clinic: Clinic, canary: str
) -> None:
    run = run_cells(clinic, SHOWN, canary + "print(text)")
    raw = run.private / pages.EXECUTED / "page.ipynb"
    (run.folder / "page.ipynb").write_bytes(raw.read_bytes())
    (run.folder / "more").mkdir()
    (run.folder / "more" / "copy.ipynb").write_bytes(raw.read_bytes())
    (run.folder / "note.HTML").write_text(SECRET)
    closing.close(environments.load(DEV), run)
    assert "Canary" not in texts_of(run)
    names = {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*.*")}
    assert {"page.ipynb", "page.html", "more/copy.ipynb", "more/copy.html"} <= names
    assert "note.HTML" not in names
    assert (run.private / pages.SET_ASIDE / "note.html").is_file()


def test_a_full_disk_leaves_a_page_out_and_the_seal_brings_it_in(
    clinic: Clinic, canary: str
) -> None:
    page_of(clinic.folder, SHOWN, canary + "print(text)")
    run = record.create(environments.load(DEV))
    forked.ready()  # it keeps the limits that it was started with, for every later kernel
    with at_most(9_000):  # bytes in one file: the page as executed has less, as cleaned more
        notebook.execute(run, "page", {"run_id": run.id}, clinic.folder)
    assert "page.html" not in of_page(run)
    assert not any(name.startswith(".") for name in of_page(run))
    assert [e.line["kind"] for e in run.events() if e.event is Event.UNTIDY] == ["OSError"]
    closing.close(environments.load(DEV), run)
    assert of_page(run) == {"page.ipynb", "page.html"}
    assert "Canary" not in texts_of(run)


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """While the block lasts, no file of this process gets larger: as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_killed_runner_leaves_no_page_that_was_not_looked_at(clinic: Clinic) -> None:
    clinic.simulator.latency_ms = 400
    with Command("run", DEV, "--approve-rehearsed") as runner:
        until(lambda: stage_pid("snapshot"))
        runner.kill()
    (run,) = record.every(environments.load(DEV))
    assert [p.name for p in run.folder.iterdir() if p.suffix in (".ipynb", ".html")] == []
    assert (run.private / pages.EXECUTED / "01_preflight.ipynb").is_file()
    until(lambda: not run.workers())
    sealed = finishing.seal(DEV)
    assert (sealed.verdict, sealed.sealed) == (Verdict.KILLED, True)
    assert (run.folder / "01_preflight.html").is_file()
