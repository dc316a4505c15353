"""The made-up clinic's folder: what a command that was killed leaves in it bars no later one."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nexus_reimport import settings
from nexus_reimport.cli import demo
from nexus_reimport.errors import SandboxError
from nexus_sandbox.stack import lifecycle, state
from nexus_sandbox.stack.state import SavedState
from support.running import killed_after


def made(folder: Path) -> Path:
    """A folder as a clinic leaves it that runs no more."""
    (folder / state.ENVIRONMENTS).mkdir(parents=True)
    SavedState(0.02, 1, "recipe", complete=True).remember(folder)
    # On either side of the lock: file systems list the oldest first, or the newest.
    for name in ("a.log", "environments/dev.toml", "supervisor.lock", "users.lock", "z.log"):
        (folder / name).touch()
    return folder


def test_a_kill_at_any_instant_of_the_removal_leaves_a_folder_that_can_be_used_again(
    tmp_path: Path,
) -> None:
    """A folder that still held logs was called somebody else's, by ``up`` and by ``down``."""
    left = set()
    for after in itertools.count():
        folder = made(tmp_path / str(after))
        killed = killed_after(after, lambda folder=folder: lifecycle.down(folder, remove=True))
        left.add(frozenset(path.name for path in folder.glob("*")))
        assert lifecycle.require_usable(folder) == folder
        lifecycle.down(folder, remove=True)
        assert not folder.exists()
        if not killed:
            break
    assert len(left) > 5


def test_a_demo_says_before_it_starts_anything_that_its_environments_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It made a clinic, started all servers, and failed after a minute."""
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(tmp_path / "others"))
    with pytest.raises(SandboxError) as refused:
        demo.run(tmp_path / "clinic", 0.02, lambda text: None, apart=False)
    assert refused.value.what == "2 environments of the made-up clinic not found"
    assert f"unset {settings.FOLDER_VARIABLE}" in refused.value.next
    assert not (tmp_path / "clinic" / "postgres").exists()
