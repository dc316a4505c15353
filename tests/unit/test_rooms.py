"""What import-linter cannot say of the rooms."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import nexus_reimport
from nexus_reimport import CHECKOUT, PACKAGE
from nexus_reimport.stages import approval

TESTS = CHECKOUT / "tests"


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a module's syntax tree: read and parsed once for all tests of this file."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_test_file_imports_another() -> None:
    files = [*TESTS.rglob("test_*.py"), *(TESTS / "support").glob("*.py")]
    assert len(files) > 80
    wrong = [
        (path.name, name)
        for path in files
        for name in imported(path)
        if name.split(".")[-1].startswith("test_") or name == "conftest"
    ]
    assert wrong == []


# Where ids come in, and are made values: each reads what no other module reads.
IDS_COME_IN = {
    "intake.py": "a record's own and those of its fields, a row's, the id map's",
    "mapping/entities.py": "those that a rule names",
    "filemaker/exports/typed.py": "those of a file's lines, which are put in their order",
    "planning/attachments.py": "those that a pattern takes out of a file's key",
}


@cache
def names(path: Path) -> frozenset[str]:
    """Every name that a module uses: alone, after the name of another module, imported, called."""
    return frozenset(_names(path))


def _names(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield f"{node.func.id}()"
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                yield f"{module}.{name}"
                yield name
            case ast.Name(id=name):
                yield name
            case ast.ImportFrom(module=module, names=aliases):
                for alias in aliases:
                    yield f"{module}.{alias.name}"
                    yield alias.name


def using(*wanted: str) -> set[str]:
    """The modules of the package that use one of the names."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not names(path).isdisjoint(wanted)
    }


def test_how_ids_compare_is_asked_in_one_place() -> None:
    assert using("id_key") == {"ids.py"}


def test_an_id_becomes_a_value_only_where_it_is_read() -> None:
    assert using("ids.of") == IDS_COME_IN.keys()
    assert using("nexus_reimport.ids.of") == set(), "by another name it would not be found"
    assert using("Id()") == {"ids.py"}
    assert using("ids.Id", "ids.id_key") == set()
    # Many at once: of a page, while it is read from FileMaker, and of a column of a row file.
    assert using("ids.compared") == {"filemaker/keys.py", "intake.py"}


OWN_TABLE = re.compile(
    r"nexus_reimport\.(runs|loaded|deployment)\b|nexus_reimport_undo_|\bown_(loaded|pointed_at)\b"
)


def texts(path: Path) -> Iterator[str]:
    """Every text of a module except its docstrings."""
    docstrings = {id(n.value) for n in nodes(path) if isinstance(n, ast.Expr)}
    for node in nodes(path):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield str(node.value)


def statements(path: Path) -> Iterator[str]:
    """The fixed statements that a module asks for by name."""
    for node in nodes(path):
        match node:
            case ast.Call(func=ast.Name(id="statement"), args=[ast.Constant(value=str(name))]):
                yield name


def test_our_own_tables_are_named_in_one_place() -> None:
    registry = PACKAGE / "nexus" / "registry"
    modules = [path for path in PACKAGE.rglob("*.py") if path.parent != registry]
    ours = {p.stem for p in (PACKAGE / "sql").glob("*.sql") if OWN_TABLE.search(p.read_text())}
    of_runs = {"own_schema_of_an_older_version", "runs_table_is_current"}
    assert ours == {"own_schema", "deployment", "adopt", "marker"} | of_runs
    assert {t for path in modules for t in texts(path) if OWN_TABLE.search(t)} == set()
    assert ours.isdisjoint(name for path in modules for name in statements(path))
    names_of_ours = "nexus_reimport.nexus.registry.own_schema"
    assert [path for path in modules if names_of_ours in imported(path)] == []
    assert using("kept_as") == {"nexus/registry/undo.py"}, "its tables are undo.before(part)"


def test_no_room_is_called_as_ignore_files_call_what_is_built() -> None:
    names = {p.name for p in PACKAGE.rglob("*") if p.is_dir()}
    assert names & {"target", "build", "dist", "out", "bin", "obj", "lib", "tmp", "vendor"} == set()


def test_an_approval_is_of_the_product_and_not_of_the_made_up_clinic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "nexus_reimport"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(nexus_reimport.PACKAGE, copied, ignore=ignored)
    shutil.copytree(CHECKOUT / "nexus_sandbox", tmp_path / "nexus_sandbox", ignore=ignored)
    monkeypatch.setattr(approval, "PACKAGE", copied)
    first = approval.code_digest()
    assert first == approval.code_digest()
    (tmp_path / "nexus_sandbox" / "clinic" / "people.py").write_text("")
    assert approval.code_digest() == first
    for changed in ("stages/apply/reimport.py", "sql/deployment.sql", "mappings/nexus.toml"):
        with (copied / changed).open("a") as out:
            out.write("\n")
        assert approval.code_digest() != first
        first = approval.code_digest()


SAYS_NOTHING = {"said", "told", "made", "there", "found"}


def locals_of(path: Path) -> Iterator[str]:
    """The names of a module's functions, of their parameters, and of what they fill."""
    for node in nodes(path):
        match node:
            case ast.FunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


# Names that others read: an environment's key, a value saved with each plan and its record,
# the sandbox's status as JSON, and what a check has found.
READ_BY_OTHERS = {
    ("settings/environment.py", "told"),
    ("model/plan.py", "there"),
    ("model/checks.py", "found"),
    ("show/page.py", "found"),
    ("stack/lifecycle.py", "made"),
}


def test_a_name_says_what_it_holds() -> None:
    roots = [PACKAGE, CHECKOUT / "nexus_sandbox", CHECKOUT / "benchmarks"]
    empty = {
        (path.relative_to(root).as_posix(), name)
        for root in roots
        for path in root.rglob("*.py")
        for name in SAYS_NOTHING.intersection(locals_of(path))
    }
    assert empty == READ_BY_OTHERS
