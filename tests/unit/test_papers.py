"""The papers are true where a machine can tell: names, paths, links, the order of the glossary."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import nexus_reimport.mapping
from nexus_reimport import CHECKOUT, PACKAGE
from nexus_reimport.cli.endings import EXIT_CODES
from nexus_reimport.record.sealed import archive
from nexus_reimport.record.verdict import EXIT_CODES as OF_A_VERDICT
from nexus_reimport.settings import Strict

PAPERS = [
    *sorted(CHECKOUT.glob("*.md")),
    *sorted((CHECKOUT / "docs").glob("*.md")),
    CHECKOUT / "runbook" / "README.md",
]
OF_THE_CODE = [
    p for p in PAPERS if p.name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "decisions.md")
]
ROOMS = {p.stem for p in PACKAGE.iterdir() if p.is_dir() or p.suffix == ".py"}
OF_THE_DATABASE = {"nexus_reimport.runs", "nexus_reimport.loaded", "nexus_reimport.deployment"}
NAME = re.compile(r"`([a-z_]+(?:\.\w+)+)(?:\(.*?\))?`")
AT_THE_TOP = "nexus_sandbox|tests|tools|docs|runbook|examples|benchmarks"
PATH = re.compile(rf"`((?:{'|'.join(sorted(ROOMS))}|nexus_reimport|{AT_THE_TOP}|\.ci)/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def found(papers: list[Path], pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """(paper, what the pattern finds in it), each once."""
    pairs = ((paper, paper.read_text(encoding="utf-8")) for paper in papers)
    return sorted(
        {
            (p.relative_to(CHECKOUT).as_posix(), m[1])
            for p, text in pairs
            for m in pattern.finditer(text)
        }
    )


def names() -> list[tuple[str, str]]:
    """Every dotted name of our own code: whole, or as seen from the package."""
    whole = []
    for paper, name in found(OF_THE_CODE, NAME):
        first = name.partition(".")[0]
        if name not in OF_THE_DATABASE and first in {*ROOMS, "nexus_reimport", "nexus_sandbox"}:
            whole.append((paper, name if first.startswith("nexus_") else f"nexus_reimport.{name}"))
    return whole


def exists(name: str) -> bool:
    """Whether ``name`` is a module, or what hangs on one."""
    module, rest = importlib.import_module(name.partition(".")[0]), name.split(".")[1:]
    held: object = module
    for part in rest:
        if isinstance(held, ModuleType) and not hasattr(held, part):
            try:
                held = importlib.import_module(f"{held.__name__}.{part}")
            except ModuleNotFoundError:
                return False
        elif not hasattr(held, part):
            return False
        else:
            held = getattr(held, part)
    return True


@pytest.mark.parametrize(("paper", "name"), names())
def test_a_name_of_the_code_that_a_paper_uses_exists(paper: str, name: str) -> None:
    assert exists(name), f"{paper} names {name}"


def test_names_are_found_and_a_wrong_one_is_refused() -> None:
    assert not exists("nexus_reimport.stages.nothing")
    assert not exists("nexus_reimport.nexus.writing.transaction.nothing")
    assert exists("nexus_reimport.nexus.writing.transaction.Transaction.lock")


@pytest.mark.parametrize(("paper", "path"), found(PAPERS, PATH))
def test_a_path_that_a_paper_names_exists(paper: str, path: str) -> None:
    is_there = any((above / path).exists() for above in (CHECKOUT, PACKAGE))
    assert is_there or path.startswith("runbook/environments/"), f"{paper} names {path}"


@pytest.mark.parametrize(("paper", "link"), found(PAPERS, LINK))
def test_a_link_leads_somewhere(paper: str, link: str) -> None:
    assert (CHECKOUT / paper).parent.joinpath(link).exists(), f"{paper} links {link}"


def test_the_glossary_is_in_order_and_names_each_term_once() -> None:
    text = (CHECKOUT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\| ([^|]+?) \| \w", text, re.M)[1:]
    plain = [re.sub(r"[^a-z ]", "", term.casefold()) for term in terms]
    assert len(plain) > 40
    assert [pair for pair in pairwise(plain) if pair[0] >= pair[1]] == []


def test_the_architecture_has_every_room_in_the_order_that_is_enforced() -> None:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [
        {room.strip() for room in layer.split("|")} for layer in contracts["contracts"][0]["layers"]
    ]
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("| room in")[2].partition("\n\n")[0]
    rows = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines()[2:]]
    assert rows == layers[::-1]


def printed(example: str, then: str) -> str:
    """What ``then`` prints after an example of the contributors' paper, in a process of its own."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    (block,) = [block for block in blocks if example in block]
    done = subprocess.run(
        [sys.executable, "-c", f"{block}\n{then}"], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_example_of_a_check_in_the_contributors_paper_can_be_declared() -> None:
    claim = printed(
        "@check(", "from nexus_reimport.checks import REGISTRY as r; print(r[-1].claim)"
    )
    assert claim == "Every appointment that will be there ends after it starts.\n"


def test_the_example_of_a_converter_in_the_contributors_paper_converts() -> None:
    given = "Given(None, None, 'Ada', {'Last': ' Lovelace '}, {'then': 'Last'})"
    assert printed("@converter(", f"print(_joined({given}))") == "Ada Lovelace\n"


def test_the_account_of_an_archive_has_the_same_rights_in_the_paper_and_in_the_error() -> None:
    rights = set(re.findall(r"s3:\w+", archive._RIGHTS))
    paper = (CHECKOUT / "docs" / "records.md").read_text(encoding="utf-8")
    assert set(re.findall(r"s3:\w+", paper)) == rights
    # Amazon asks for the first to read back one version, for the second to show its last day.
    assert {"s3:GetObjectVersion", "s3:GetObjectRetention"} <= rights


def test_there_is_one_table_of_exit_codes() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| ([^|]+?) \|", readme, re.MULTILINE)
    assert [int(code) for code, _ in rows] == list(EXIT_CODES)
    assert set(OF_A_VERDICT.values()) <= set(EXIT_CODES)
    for code, meaning in rows[:4]:
        assert EXIT_CODES[int(code)].startswith(meaning), code


def names_in(package: ModuleType) -> set[str]:
    """The names that the files may hold which the models of ``package`` read."""
    of_ours = [m for m in vars(package).values() if isinstance(m, ModuleType)]
    models = {
        cls
        for module in of_ours
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Strict) and cls.__module__ == module.__name__
    }
    assert len(models) > 12
    return {field.alias or name for cls in models for name, field in cls.model_fields.items()}


def names_told(text: str) -> set[str]:
    """The words in code in ``text``, and those that a line gives a value or a section to."""
    told = set(re.findall(r"[\w*]+", "\n".join(re.findall(r"`([^`\n]+)`", text))))
    told |= set(re.findall(r"\b(\w+) =", text))
    heads = re.findall(r"^ *(?:# )?\[+([\w.]+)", text, re.MULTILINE)
    return told | {part for head in heads for part in head.split(".")}


def test_every_name_that_a_mapping_can_hold_is_in_its_paper() -> None:
    """Of another clinic's mapping there is nothing to copy: what is not told cannot be known."""
    told = names_told((CHECKOUT / "docs" / "mapping.md").read_text(encoding="utf-8"))
    computed = {"digest", "text"}
    assert not sorted(names_in(nexus_reimport.mapping) - told - computed)


def test_every_name_that_an_environments_file_can_hold_is_in_a_template_or_a_paper() -> None:
    """If this fails: tell of the option in dev.toml.template, or in the paper it belongs to."""
    templates = (CHECKOUT / "runbook" / "environments").glob("*.template")
    papers = (*templates, *(CHECKOUT / "docs").glob("*.md"), *CHECKOUT.glob("*/README.md"))
    told = set[str]().union(*(names_told(path.read_text(encoding="utf-8")) for path in papers))
    assert not sorted(names_in(nexus_reimport.settings) - told)
