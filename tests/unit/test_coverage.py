"""docs/coverage.md is true: every line, and every check, test and cell that it names."""

from __future__ import annotations

import ast
import json
import re

from nexus_reimport import CHECKOUT, runbook
from nexus_reimport.checks import REGISTRY

ROOT = CHECKOUT
NOTEBOOKS = {"01": "01_preflight", "02": "02_execute", "03": "03_verify", "90": "90_rollback"}
LINES = {"K": 13, "D": 6, "P": 8, "T": 5, "R": 6, "F": 5, "X": 5, "B": 6, "A": 9, "M": 4, "S": 7}


def table() -> dict[str, dict[str, list[str]]]:
    """id -> column -> entries."""
    found = {}
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"[A-Z]\d+", cells[0]):
            names = ("line", "checks", "notebook", "tests", "owed")
            entries = [[e.strip() for e in cell.split(",") if e.strip()] for cell in cells[1:]]
            found[cells[0]] = dict(zip(names, entries, strict=True))
    return found


def known_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def served_by_cells(notebook: str) -> set[str]:
    path = ROOT / "runbook" / f"{notebook}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {line for cell in cells for line in cell["metadata"].get("serves", ())}


def test_every_line_of_the_checklist_stands_in_the_table() -> None:
    assert set(table()) == {
        f"{kind}{n}" for kind, last in LINES.items() for n in range(1, last + 1)
    }


def test_every_check_serves_the_lines_that_the_table_says_and_no_other() -> None:
    assert runbook.begin
    said = {(i, check) for i, row in table().items() for check in row["checks"]}
    declared = {(i, c.name) for c in REGISTRY for i in c.serves}
    assert said == declared


def test_every_test_that_the_table_names_is_there() -> None:
    assert {name for row in table().values() for name in row["tests"]} - known_tests() == set()


def test_every_cell_that_the_table_names_is_there() -> None:
    served = {number: served_by_cells(name) for number, name in NOTEBOOKS.items()}
    missing = {
        (i, number)
        for i, row in table().items()
        for number in row["notebook"]
        if i not in served[number]
    }
    assert missing == set()


def test_a_line_without_any_proof_is_owed_by_name() -> None:
    bare = {i for i, row in table().items() if not (row["checks"] or row["tests"])}
    assert {i for i in bare if not table()[i]["owed"]} == set()
