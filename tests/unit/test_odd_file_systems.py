"""File systems without hard links, without fsync of folders, without locks."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport.cli import main
from nexus_reimport.files import private
from nexus_reimport.settings import Settings
from support.records import complete


def refusing(number: int) -> Callable[..., Any]:
    """What the system says there."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_without_hard_links_a_name_that_is_taken_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """No run came to its approval there: the self-test, and each page, was a file not allowed."""
    monkeypatch.setattr(os, "link", refusing(number))
    private.place_new(tmp_path / "page", b"first")
    with pytest.raises(FileExistsError):
        private.place_new(tmp_path / "page", b"second")
    private.link(tmp_path / "copy", tmp_path / "page")
    with pytest.raises(FileExistsError):
        private.link(tmp_path / "page", tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "page": b"first",
        "copy": b"first",
    }
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == private.FILE


def test_without_fsync_of_folders_a_record_is_made_and_sealed(
    known: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was an unforeseen error, before the first run."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            refusing(errno.EINVAL)()
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    assert complete(known).problems() == []
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))  # a disk that failed is one
    with pytest.raises(OSError, match="Input/output error"):
        private.sync_path(tmp_path)


@pytest.mark.parametrize(
    "number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=errno.errorcode.get
)
@pytest.mark.parametrize("command", ["status", "run", "seal"])
def test_without_locks_a_command_says_that_and_where(
    known: Settings,
    environment_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    number: int,
) -> None:
    """``status`` said to wait until somebody had ended; the others had an unforeseen error."""
    monkeypatch.setenv("NEXUS_REIMPORT_ENVIRONMENTS", str(environment_files))
    complete(known)
    (known.records_folder / ".at_work").touch()
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with pytest.raises(SystemExit) as ended:
        main([command, known.name])
    text = "".join(capsys.readouterr())
    assert ended.value.code == 3
    assert "a disk of this machine has no locks" in text
    assert f"{known.records_folder}/.at_work" in text
