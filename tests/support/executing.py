"""One page with cells of a test's own, executed as the runner executes the runbook's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.record import Run
from nexus_reimport.runner import notebook
from support.clinic import Clinic
from support.running import DEV

_OTHERS = {"first-screen", "parameters", "injected-parameters"}  # tags of cells that no test gives


def page_of(folder: Path, *sources: str, goes_on: bool = False) -> Path:
    """A page with the parameter ``run_id`` and these cells; with ``goes_on``, after errors too."""
    parameters = nbformat.v4.new_code_cell('run_id: str = ""', metadata={"tags": ["parameters"]})
    tags = {"tags": ["raises-exception"]} if goes_on else {}
    made = nbformat.v4.new_notebook(
        cells=[parameters, *(nbformat.v4.new_code_cell(s, metadata=tags) for s in sources)]
    )
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "page.ipynb"
    nbformat.write(made, path)
    return path


def run_cells(clinic: Clinic, *sources: str, goes_on: bool = False) -> Run:
    """A new run in which one page with these cells was executed."""
    page_of(clinic.folder, *sources, goes_on=goes_on)
    made = record.create(environments.load(DEV))
    notebook.execute(made, "page", {"run_id": made.id}, clinic.folder)
    return made


def cells(run: Run) -> list[Any]:
    """The code cells of the page in the record, without its first screen and its parameters."""
    read = nbformat.read(run.folder / "page.ipynb", 4)
    return [
        c
        for c in read.cells
        if c.cell_type == "code" and not _OTHERS & set(c.metadata.get("tags", ()))
    ]


def outputs_of(run: Run) -> list[list[Any]]:
    """The outputs of those cells."""
    return [cell.outputs for cell in cells(run)]
