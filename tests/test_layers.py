"""Imports run one way, and stages never import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import nexus_reimport

ROOT = Path(nexus_reimport.__file__).parent
ORDER = (
    "errors", "certificates", "wording", "text", "textfile", "tomlplaces", "workbook", "forms",
    "credentials", "settings", "s3client", "mapping", "convert", "cards", "rowfile", "source",
    "target", "model", "attachments", "feed", "identity", "merge", "ledger", "manual", "checks",
)  # fmt: skip
STAGES = (
    "snapshot", "census", "survey", "backup", "plan", "refused_rows", "rehearsal", "gate",
    "reimport", "undo", "restore", "verify",
)  # fmt: skip
FACES = (
    "lists",
    "record",
    "window",
    "adoption",
    "opening",
    "runbook",
    "rollback",
    "show",
    "runner",
    "sandbox",
    "demo",
    "cli",
)
# A stage's own small tools that others may use: gate.moved compares states, census.keys reads keys.
SHARED = {("reimport", "gate"), ("undo", "gate"), ("checks", "census"), ("verify", "census")}


def _imports() -> list[tuple[str, str]]:
    """(module, module of ours that it imports), by their first names inside the package."""
    found = []
    for path in ROOT.rglob("*.py"):
        importer = path.relative_to(ROOT).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
                if node.module == "nexus_reimport":
                    names = [f"nexus_reimport.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == "nexus_reimport" and len(parts) > 1 and parts[1] != importer:
                    found.append((importer, parts[1]))
    return sorted(set(found))


def test_every_module_has_its_place() -> None:
    known = {*ORDER, *STAGES, *FACES, "__init__", "sql", "mappings"}
    there = {
        p.stem if p.is_file() else p.name for p in ROOT.iterdir() if not p.name.startswith("_")
    }
    assert there - known - {"py", "py.typed"} == set()


def test_a_module_imports_only_from_those_before_it() -> None:
    place = {name: n for n, name in enumerate((*ORDER, *STAGES, *FACES))}
    wrong = [
        (importer, imported)
        for importer, imported in _imports()
        if importer in place
        and imported in place
        and place[imported] > place[importer]
        and (importer, imported) not in SHARED
    ]
    assert wrong == []


def test_stages_never_import_each_other() -> None:
    wrong = [
        pair
        for pair in _imports()
        if pair[0] in STAGES and pair[1] in STAGES and pair not in SHARED
    ]
    assert wrong == []


def test_no_face_is_imported_by_the_work() -> None:
    assert [p for p in _imports() if p[1] in FACES and p[0] not in FACES] == []
