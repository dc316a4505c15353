"""The example for a scheduler: a page in a kernel of papermill's own starts the whole sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from nexus_reimport import CHECKOUT, record
from nexus_reimport import settings as environments
from nexus_reimport.model import Approval, Proposal
from nexus_reimport.record import Run, Verdict
from support.clinic import Clinic
from support.running import DEV

SEQUENCE = CHECKOUT / "examples" / "airflow" / "sequence.ipynb"


def task(folder: Path, **parameters: str | bool) -> str:
    """What a task of the scheduler has printed; its page is executed in a kernel of its own."""
    page: Any = papermill.execute_notebook(
        str(SEQUENCE),
        str(folder / "executed.ipynb"),
        {"environment": DEV, **parameters},
        kernel_name="python3",
        progress_bar=False,
    )
    return "".join(o.get("text", "") for cell in page.cells for o in cell.get("outputs", ()))


def runs() -> list[Run]:
    return record.every(environments.load(DEV))


def test_a_real_environment_is_run_in_two_tasks_and_a_retry_does_nothing_twice(
    clinic: Clinic, tmp_path: Path
) -> None:
    """On the sandbox alone the rule for pages of one's own is not asked."""
    clinic.edit(DEV, "sandbox = true", "sandbox = false")
    before = clinic.state()
    assert "WAITING, exit code 6" in task(tmp_path)
    assert clinic.state() == before
    (waiting,) = runs()
    given = {
        "approve": waiting.load(Proposal).digest,
        "approved_by": "A. Person",
        "reason": "agreed",
    }
    assert "COMPLETE, exit code 0" in task(tmp_path, **given)
    (done,) = runs()
    assert (done.verdict(), done.is_sealed) == (Verdict.COMPLETE, True)
    assert done.load(Approval).by == "A. Person"
    after = clinic.state()
    with pytest.raises(PapermillExecutionError, match="exit code 1"):
        task(tmp_path, **given)
    assert "waits for no approval any more: it is COMPLETE" in (
        (tmp_path / "executed.ipynb").read_text()
    )
    assert clinic.state() == after
    assert [run.id for run in runs()] == [done.id]


@pytest.mark.parametrize("digest", ["", " "])
def test_a_task_that_must_execute_begins_no_preflight_where_nobody_gave_a_digest(
    digest: str, clinic: Clinic, tmp_path: Path
) -> None:
    """It would give up the run that people have read, and end well with nothing executed."""
    with pytest.raises(PapermillExecutionError, match="no digest was given: nothing was started"):
        task(tmp_path, approve=digest, must_execute=True)
    assert runs() == []
