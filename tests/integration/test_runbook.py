"""The notebooks are pages to read and to run; nbval runs them against what they show."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from nexus_reimport.record.lock import RUNNER_VARIABLE
from nexus_reimport.runner.notebook import (
    EXECUTE,
    FOLDER,
    PREFLIGHT,
    ROLLBACK,
    VERIFY,
    parameters_of,
)
from support import SUPPORT
from support.clinic import Clinic

PAGES = (PREFLIGHT, EXECUTE, VERIFY, ROLLBACK)
FORBIDDEN = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.For,
    ast.While,
    ast.Try,
    ast.With,
    ast.Lambda,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
    ast.GeneratorExp,
)


def read(page: str) -> Any:
    return nbformat.read(FOLDER / f"{page}.ipynb", as_version=4)


@pytest.mark.parametrize("page", PAGES)
def test_papermill_finds_the_parameters_that_the_runner_finds(page: str) -> None:
    path = FOLDER / f"{page}.ipynb"
    assert parameters_of(path) == set(papermill.inspect_notebook(str(path)))
    assert {"environment", "run_id"} <= parameters_of(path)


def code(page: str) -> list[Any]:
    return [cell for cell in read(page).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_holds_no_program(page: str) -> None:
    for cell in code(page):
        assert len(cell.source.splitlines()) <= 12
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not [node for node in nodes if isinstance(node, FORBIDDEN)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_its_table_and_its_parameters(page: str) -> None:
    first, second, third, *_ = read(page).cells
    asked = ("reads", "writes", "changes clinic data?", "takes", "if it stops")
    assert first.cell_type == "markdown"
    assert [a for a in asked if f"| {a} |" not in first.source] == []
    assert second.metadata.tags == ["parameters"]
    assert all("#" in line and ": " in line for line in second.source.splitlines())
    assert third.source.startswith("from nexus_reimport import")


@pytest.mark.parametrize("page", PAGES)
def test_no_default_names_an_environment_or_approves(page: str) -> None:
    scope: dict[str, object] = {}
    exec(code(page)[0].source, scope)  # noqa: S102 - the parameters of our own page
    values = {v for k, v in scope.items() if not k.startswith("__")}
    assert values <= {"", False}


@pytest.mark.parametrize("page", PAGES)
def test_code_and_words_come_in_pairs(page: str) -> None:
    kinds = [cell.cell_type for cell in read(page).cells[3:]]
    assert not [n for n in range(1, len(kinds)) if kinds[n - 1 : n + 1] == ["code", "code"]]


@pytest.mark.parametrize("page", PAGES)
def test_every_cell_was_executed_and_none_failed(page: str) -> None:
    counts = [cell.execution_count for cell in code(page)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in code(page) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert all(cell.outputs for cell in code(page)[2:])


@pytest.mark.parametrize("page", PAGES)
def test_no_secret_and_no_place_of_a_machine_is_stored(page: str) -> None:
    text = (FOLDER / f"{page}.ipynb").read_text(encoding="utf-8")
    assert not re.findall(r"/(?:tmp|home|root|work|Users)/|password|secret|papermill", text)
    assert "walk-nexus-prod" not in text


def test_the_checklists_ids_stand_with_the_cells_that_serve_them_and_in_no_text() -> None:
    cells = [cell for page in PAGES for cell in read(page).cells]
    served = {line for cell in cells for line in cell.metadata.get("serves", ())}
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert not re.findall(r"\b(?!S3\b)[A-FKMPRSTX]\d{1,2}\b", words)
    numbered = {"A": 9, "B": 6, "D": 6, "P": 8, "R": 6, "X": 5, "K": 13}
    wanted = {f"{kind}{n}" for kind, last in numbered.items() for n in range(1, last + 1)}
    assert wanted - served == set()


def test_cells_are_numbered_in_their_order() -> None:
    for page in PAGES:
        ids = [cell.id for cell in read(page).cells]
        assert ids == [f"{page[:2]}-{number:02}" for number in range(len(ids))]


def test_the_pages_give_what_they_show(clinic: Clinic, tmp_path: Path) -> None:
    """nbval, on copies that differ from the pages in their parameters alone."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    for page in PAGES:
        given = {"environment": "sandbox-dev"} | (
            {"approve_rehearsed": True} if page in (EXECUTE, ROLLBACK) else {}
        )
        copy = parameterize_notebook(load_notebook_node(str(FOLDER / f"{page}.ipynb")), given)
        nbformat.write(copy, tmp_path / f"{page}.ipynb")
    sanitize = SUPPORT / "nbval_sanitize.cfg"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval-lax",
            "--nbval-sanitize-with",
            str(sanitize),
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-q",
            "-o",
            "addopts=",
            "--rootdir",
            str(tmp_path),
            *(str(tmp_path / f"{page}.ipynb") for page in PAGES),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, RUNNER_VARIABLE: "nbval"},
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert f"{sum(len(code(page)) + 1 for page in PAGES)} passed" in done.stdout
