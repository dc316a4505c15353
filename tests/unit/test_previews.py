"""A preview's rows, kept for the moment: of two that look at once neither takes the other's."""

from __future__ import annotations

import os
import signal

from nexus_reimport.record import previews
from nexus_reimport.settings import Settings
from support.running import until


def test_a_preview_leaves_another_one_its_folder(known: Settings) -> None:
    """The page looks beside a command, which ended with "no such file" in the middle of it."""
    with previews.opened(known) as first:
        (first / "newer_notes.parquet").write_bytes(b"x")
        with previews.opened(known) as second:
            assert second != first
        assert (first / "newer_notes.parquet").exists()
        assert previews.left(known) == []
    assert not first.exists()


def test_what_a_killed_preview_has_left_is_deleted_by_the_next(known: Settings) -> None:
    place = known.private_folder / previews.FOLDER
    if (child := os.fork()) == 0:
        with previews.opened(known) as folder:
            (folder / "newer_notes.parquet").write_bytes(b"x")
            signal.pause()
    until(lambda: [*place.glob("*/newer*")])
    assert previews.left(known) == []
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    (killed,) = previews.left(known)
    with previews.opened(known):
        assert not killed.exists()
