"""Which account and which libraries a record and an approval name."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from nexus_reimport import program
from nexus_reimport.stages import approval

NOBODY = 3_999_999_999  # a number for which no system has a name


def test_no_variable_makes_the_account_another_ones() -> None:
    """``getpass.getuser`` believes LOGNAME: with it one person was two."""
    named = subprocess.run(
        [sys.executable, "-c", "from nexus_reimport import program; print(program.account())"],
        env=os.environ | {"LOGNAME": "somebody.else", "USER": "somebody.else"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert named.stdout.strip() == pwd.getpwuid(os.geteuid()).pw_name


def test_an_account_without_a_name_is_told_by_its_number() -> None:
    assert program.named(NOBODY) == f"uid {NOBODY}"


def test_an_approval_ends_with_another_version_of_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time zones and numbers are theirs: what was rehearsed with one is not what another does."""
    before = approval.code_digest()
    assert program.libraries()["tzdata"] != "1999.1"
    newer = tmp_path / "tzdata-1999.1.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: tzdata\nVersion: 1999.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert program.libraries()["tzdata"] == "1999.1"
    assert approval.code_digest() != before
