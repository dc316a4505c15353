"""What several files of a whole clinic's tests begin with."""

from __future__ import annotations

import pytest

from nexus_reimport import runbook
from support.clinic import Clinic


@pytest.fixture
def done(clinic: Clinic) -> tuple[Clinic, runbook.Runbook]:
    """A clinic after a whole run."""
    return clinic, clinic.executed()
