"""Each command that a paper gives to paste is one that can be typed: whole, with its arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from nexus_reimport import CHECKOUT
from nexus_reimport.cli.app import app

PAPERS = [
    CHECKOUT / "README.md",
    *sorted((CHECKOUT / "docs").glob("*.md")),
    *sorted((CHECKOUT / "examples").rglob("*.md")),
    *sorted((CHECKOUT / "examples").rglob("*.sh")),
]
BLOCK = re.compile(r"^( *)```(?:sh|bash)?\n(.*?)^ *```", re.M | re.S)
INDENTED = re.compile(r"^    (?=nexus-reimport |make |python)(.*)$", re.M)
IN_A_TABLE = re.compile(r"\| `(nexus-reimport [^`]*)` \|")
TARGETS = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.M))


def commands() -> Iterator[tuple[str, str]]:
    """(paper, a line of it that is a command of ours)."""
    for paper in PAPERS:
        text = paper.read_text(encoding="utf-8")
        blocks = [found[2] for found in BLOCK.finditer(text)]
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        lines += INDENTED.findall(text) + IN_A_TABLE.findall(text)
        if paper.suffix == ".sh":
            lines = [line.strip() for line in text.splitlines()]
        for line in lines:
            if re.match(r"(nexus-reimport|make|python3?) ", line):
                yield paper.relative_to(CHECKOUT).as_posix(), line


def refused(line: str) -> str:
    """What is wrong with a command, "" where it can be typed; nothing is run."""
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        return "" if {word for word in words if "=" not in word} <= TARGETS else "no such target"
    if program.startswith("python"):
        script = Path(words[0])
        is_ours = script.parts[0] in ("tools", "examples")
        return "" if not is_ours or (CHECKOUT / script).is_file() else "no such program"
    command: Any = typer.main.get_command(app)
    try:
        context = command.make_context(program, list(words), resilient_parsing=not words)
        while isinstance(context.command, click.Group) or hasattr(context.command, "commands"):
            rest = [*context._protected_args, *context.args]
            name, found, rest = context.command.resolve_command(context, rest)
            context = found.make_context(name, rest, parent=context)
    except (click.exceptions.Exit, typer.Exit):
        return ""
    except Exception as error:  # whatever the parser says
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize(("paper", "line"), sorted(set(commands())))
def test_a_command_that_a_paper_gives_can_be_typed_as_it_stands(paper: str, line: str) -> None:
    assert refused(line) == "", f"{paper}: {line}"


def test_commands_are_found_and_wrong_ones_are_refused() -> None:
    papers = {paper for paper, _ in commands()}
    assert {"README.md", "docs/first-night.md", "docs/auditor.md"} <= papers
    for wrong in (
        "nexus-reimport nothing dev",
        "nexus-reimport run",
        "nexus-reimport doctor dev prod",
        "nexus-reimport restore RUN",
        "nexus-reimport run dev --approve",
        "nexus-reimport record nothing",
        "make nothing",
        "python3 tools/nothing.py",
    ):
        assert refused(wrong), wrong
    assert refused("nexus-reimport restore RUN --into NAME") == ""
