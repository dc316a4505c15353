"""Every command that a message, a page or a paper names is one that the command line knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
import typer

import nexus_reimport
from nexus_reimport.cli.app import app

PACKAGE = Path(nexus_reimport.__file__).parent
ROOT = PACKAGE.parent
PAPERS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "runbook").glob("*.md")),
    *sorted((ROOT / "runbook" / "environments").glob("*.template")),
]
NAMED = re.compile(
    r"nexus-reimport ([a-z][\w-]*(?: +(?:--[a-z-]+|[a-z]+\b|[A-Z]+\b|\{\w*\}|\"\"))*)"
)


def texts() -> Iterator[tuple[str, str]]:
    """(place, text) of all that a person may read; what is put in at run time is ``{}``."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "nexus-" not in source:
            continue  # five of six modules: each worker of a test run comes through here
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
                yield str(path.relative_to(ROOT)), "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield str(path.relative_to(ROOT)), node.value
    for path in PAPERS:
        yield path.name, path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "runbook").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            yield path.name, cell.source


@cache
def said() -> list[tuple[str, str]]:
    found = {(place, m.group(1)) for place, text in texts() for m in NAMED.finditer(text)}
    return sorted(found)


def understood(words: list[str]) -> str:
    """What the command line says against ``words``, "" where it takes them; nothing is run.

    Only names of commands and options are looked at: a text may go on with words of its own.
    """
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name not in command.commands:
            return f"there is no {name or 'command'}" if words or name else ""
        command = command.commands[name]
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    return ", ".join(w for w in words if w.startswith("--") and w not in known)


@pytest.mark.parametrize(("place", "words"), said(), ids=lambda value: str(value)[:70])
def test_a_command_that_is_named_exists_with_its_options(place: str, words: str) -> None:
    assert understood(words.split()) == ""


def test_commands_are_found_where_they_are_named() -> None:
    """The test above would be empty if nothing was found."""
    names = {words.split()[0] for _, words in said()}
    assert {
        "run",
        "relink",
        "rollback",
        "restore",
        "finish",
        "settle",
        "seal",
        "adopt",
        "purge-undo",
        "record",
        "sandbox",
    } <= names
    assert understood(["nothing"])
    assert understood(["run", "--nope"])
