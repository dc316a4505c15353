"""Set-up: pyproject, lock, environment.yml and the commands say the same."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nexus_reimport import CHECKOUT, __version__
from support.commands import command

ROOT = CHECKOUT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()


def pins() -> list[tuple[str, str]]:
    """Package and version, line by line; a package may have one for each kind of machine."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ \\;]+)", LOCK, re.M)
    return [(canonicalize_name(name), version) for name, version in found]


def test_everything_that_the_project_needs_is_locked_at_a_version_that_fits() -> None:
    extras = PROJECT["optional-dependencies"].values()
    needed = [*PROJECT["dependencies"], *(one for extra in extras for one in extra)]
    wrong = [
        text
        for text in needed
        if not any(
            name == canonicalize_name(Requirement(text).name)
            and Requirement(text).specifier.contains(version, prereleases=True)
            for name, version in pins()
        )
    ]
    assert len(needed) > 20
    assert wrong == []


def test_every_locked_package_has_hashes_and_none_an_address() -> None:
    assert "://" not in LOCK
    blocks = re.split(r"\n(?=[A-Za-z0-9])", LOCK.strip())
    assert len(blocks) == len(pins())
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_conda_users_get_the_same_environment() -> None:
    described = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [d for d in described["dependencies"] if isinstance(d, str)]
    (by_pip,) = [d["pip"] for d in described["dependencies"] if isinstance(d, dict)]
    assert f"python{PROJECT['requires-python']}" in plain
    assert {"pip", "postgresql"} <= set(plain)
    assert by_pip == ["--require-hashes", "-r requirements.lock"]


def test_continuous_integration_calls_what_the_readme_names_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    readme = (ROOT / "README.md").read_text()
    assert commands.pop(0) == ".ci/browser"
    assert commands == ["make lint", "make test", "make bench-guard"]
    assert all(command in readme for command in commands)


def test_every_target_of_the_makefile_that_a_paper_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    papers = [*ROOT.glob("*.md"), *(ROOT / "runbook").glob("*.md")]
    text = "\n".join(paper.read_text() for paper in papers)
    named = set(re.findall(r"(?:`|^ +)make ([a-z]+)", text, re.M))
    assert {"demo", "test", "lint", "lab"} <= named
    assert named - targets == set()


def test_the_version_is_the_same_in_the_package_the_project_and_the_changelog() -> None:
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sections[0] == "Unreleased"
    released = re.fullmatch(r"([0-9.]+) \((\d{4}-\d\d-\d\d)\)", sections[1])
    assert released, sections[1]
    assert PROJECT["version"] == __version__ == released[1]


def test_the_command_shows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "--version") == (0, f"nexus-reimport {__version__}\n", "")


def test_every_hook_before_a_commit_calls_what_the_project_has() -> None:
    described = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in described["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in described["repos"]} == {"local"}
    lint = (ROOT / "Makefile").read_text()
    for hook in hooks:
        program, *arguments = hook["entry"].split()
        assert hook["language"] == "system"
        assert program.startswith(".venv/bin/")
        scripts = [a for a in arguments if a.startswith("tools/")]
        assert all((ROOT / script).is_file() for script in scripts)
        assert scripts or program.removeprefix(".venv/bin/") in lint
