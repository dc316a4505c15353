"""tools/check_notebooks.py: the runbook's pages pass, and each kind of foreign output is found."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import CHECKOUT

TOOL = CHECKOUT / "tools" / "check_notebooks.py"


def check(*paths: Path) -> tuple[int, str]:
    """The tool's exit code and what it prints; loaded anew, as when it is run."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = runpy.run_path(str(TOOL))["main"]([*map(str, paths)])
    return code, printed.getvalue()


def page(output: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """A notebook of one cell, as `make notebooks` leaves one."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    cell = {
        "cell_type": "code",
        "metadata": {"tags": ["parameters"]},
        "outputs": [output or shown("sandbox-dev: run 20261126T070000Z-0000: 12 rows")],
    }
    return {
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}} | metadata,
        "cells": [cell],
    }


def shown(text: str) -> dict[str, Any]:
    """An output that shows ``text``."""
    return {"output_type": "execute_result", "metadata": {}, "data": {"text/html": [text]}}


def test_the_pages_of_the_runbook_pass() -> None:
    command = [sys.executable, str(TOOL)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("notebook", "told"),
    [
        (page(kernelspec={"name": "venv-of-mine"}), "its kernel is venv-of-mine"),
        (page(language_info={"name": "python", "version": "3.11.7"}), "a version of Python"),
        (page(papermill={"duration": 3.2}), "foreign metadata: papermill"),
        (page({"output_type": "stream", "name": "stderr", "text": ["warning"]}), "kind stderr"),
        (page({"output_type": "error", "traceback": ["no"]}), "kind error"),
        (page(shown("see /home/anna/runs/dev")), "a path of one machine: /home/anna/runs/dev"),
        (page(shown(r"see C:\Users")), r"a path of one machine: C:\U"),
        (page(shown("prod: run 20261126T070000Z-0000")), "a run of another environment: prod"),
        (page(shown("postgres nexus.example:5432/nexus")), "another server: nexus.example"),
        (page(shown("https://filemaker.example")), "another server: filemaker.example"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_comes_from_elsewhere_is_named(
    tmp_path: Path, notebook: dict[str, Any], told: str
) -> None:
    path = tmp_path / "page.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    code, out = check(path)
    assert code == 1
    assert told in out
    assert "make notebooks" in out


def test_a_page_of_the_sandbox_and_a_picture_pass(tmp_path: Path) -> None:
    path = tmp_path / "page.ipynb"
    picture = shown('<img src="data:image/png;base64,iVBO+/Rw0/KGgo/AAA="> https://localhost')
    path.write_text(json.dumps(page(picture)), encoding="utf-8")
    assert check(path) == (0, "")
