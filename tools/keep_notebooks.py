"""Execute the runbook's notebooks on a small made-up clinic, and keep their outputs.

python tools/keep_notebooks.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat

from nexus_reimport import CHECKOUT, runner
from nexus_reimport.record.sealed import bag
from nexus_reimport.runner import notebook
from nexus_reimport.settings import FOLDER_VARIABLE
from nexus_sandbox.stack import lifecycle

ENVIRONMENTS = CHECKOUT / "runbook" / "environments"
SCALE = 0.03  # of the real size
PAGES = (notebook.PREFLIGHT, notebook.EXECUTE, notebook.VERIFY)


def main() -> None:
    """Keep what a run of sandbox-dev showed, in the pages of the runbook themselves."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, "runbook", "environments")
        folder.mkdir(parents=True)
        text = (ENVIRONMENTS / "sandbox-dev.toml").read_text(encoding="utf-8")
        (folder / "sandbox-dev.toml").write_text(text, encoding="utf-8")
        os.environ[FOLDER_VARIABLE] = str(folder)
        with lifecycle.running(Path(home, "sandbox"), scale=SCALE, environments=folder):
            outcome = runner.run(["sandbox-dev"], approve_rehearsed=True)[0]
            back = runner.rollback(runner.RollbackOptions(outcome.run, rehearsed=True))
        if outcome.exit_code or back.exit_code:
            sys.exit(outcome.error or back.error)
        for page in PAGES:
            keep(
                notebook.FOLDER / f"{page}.ipynb",
                Path(outcome.record, bag.PAYLOAD, f"{page}.ipynb"),
            )
        page = notebook.ROLLBACK
        keep(notebook.FOLDER / f"{page}.ipynb", Path(back.record, bag.PAYLOAD, f"{page}.ipynb"))


def keep(page: Path, executed: Path) -> None:
    """Put the outputs of ``executed`` into ``page``; nothing else of it is kept."""
    kept = nbformat.read(page, as_version=4)
    ran = {c.id: c for c in nbformat.read(executed, as_version=4).cells if c.cell_type == "code"}
    for number, cell in enumerate((c for c in kept.cells if c.cell_type == "code"), start=1):
        cell.outputs = ran[cell.id].outputs
        cell.execution_count = number
        for output in cell.outputs:
            output.metadata = {}  # a mark is good in one record
            if "execution_count" in output:
                output.execution_count = number
    nbformat.write(kept, page)


if __name__ == "__main__":
    main()
