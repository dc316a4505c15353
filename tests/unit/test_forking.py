"""Processes that tests fork have what they need before they begin: else each would load it."""

from __future__ import annotations

import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from support import forking


def _tell(answer: Connection) -> None:
    answer.send(sorted(sys.modules))


def test_a_forked_process_has_its_libraries_wherever_the_tests_are_run_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    ours, its = Pipe()
    process = forking.process(_tell, its)
    process.start()
    modules = ours.recv()
    process.join()
    assert {"nexus_reimport.runbook", "papermill", "ipykernel.kernelapp", "pyarrow"} <= {*modules}
    assert "support.loaded" in modules
