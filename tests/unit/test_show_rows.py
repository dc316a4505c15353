"""What an auditor is shown of one row, with a program that shares no line with the package."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from nexus_reimport import CHECKOUT
from nexus_reimport.files import rowfile

COLUMNS = ("id", "contact_json")
BEFORE = [("1", None), ("2", ""), ("3", "Ü\U0001f600")]
PLAN = [("1", "new"), ("2", ""), ("3", "Ü\U0001f600")]


def shown(*arguments: object) -> tuple[int, str]:
    command = [sys.executable, "tools/show_rows.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_an_auditor_sees_a_row_before_and_after_and_whether_the_files_are_the_runs(
    tmp_path: Path,
) -> None:
    private, data = tmp_path / "private", tmp_path / "record" / "data"
    private.mkdir()
    data.mkdir(parents=True)
    assert shown(data.parent, private)[0] == 2
    files = {
        name: rowfile.write(private / f"{name}.parquet", COLUMNS, rows)
        for name, rows in (("before_patients", BEFORE), ("plan_patients", PLAN))
    }
    kept = {"entities": [{"file": asdict(file)} for file in files.values()]}
    (data / "plan.json").write_text(json.dumps(kept))
    code, text = shown(data.parent, private, "1")
    before, after = text.index("contact_json: None"), text.index("contact_json: new")
    assert (code, before < after) == (0, True)
    assert "2 compared, 0 not there, 0 not as the run wrote them" in text
    (private / "plan_patients.parquet").unlink()
    rowfile.write(private / "plan_patients.parquet", COLUMNS, BEFORE)
    code, text = shown(data.parent, private)
    assert (code, "plan_patients.parquet: NOT as the run wrote it" in text) == (1, True)
    assert "Ü" not in text
