"""A private folder on a small disk of its own, which can be filled to the last byte."""

from __future__ import annotations

import contextlib
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

SIZE = 16  # MB
_ROOM = 4096  # bytes beyond the longest file that a process with a limit may still write
_MOUNT = 'mount -t tmpfs -o size="$1"m,mode=700 none "$2" && echo ready && exec cat'


@dataclass(slots=True)
class SmallDisk:
    """A tmpfs on ``place``, seen by the commands that ``prefix`` starts, and by no other process.

    It lives in a user and mount namespace, which an ordinary user may make on many systems. It ends
    with the process that holds it, which ends with us, since it reads from a pipe of ours.
    """

    place: Path
    _holder: subprocess.Popen[bytes]

    @classmethod
    def on(cls, place: Path) -> SmallDisk | None:
        """Mount it; None where this system does not let us."""
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            _MOUNT,
            "sh",
            str(SIZE),
            str(place),
        ]
        try:
            holder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except FileNotFoundError:
            return None
        assert holder.stdout
        if holder.stdout.readline() == b"ready\n":
            return cls(place, holder)
        holder.communicate()
        return None

    @classmethod
    def is_possible(cls, place: Path) -> bool:
        """Whether this system lets us have one."""
        made = cls.on(place)
        if made:
            made.close()
        return made is not None

    @property
    def prefix(self) -> list[str]:
        """What a command begins with so as to see this disk."""
        return [
            "nsenter",
            f"--target={self._holder.pid}",
            "--user",
            "--mount",
            "--preserve-credentials",
        ]

    @property
    def folder(self) -> Path:
        """The disk as seen from outside."""
        return Path(f"/proc/{self._holder.pid}/root{self.place}")

    def fill(self) -> None:
        """Leave no byte."""
        with (self.folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(65536))
        with (self.folder / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0")

    def empty(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it: nothing of it stays."""
        self._holder.communicate()
        self._holder.wait()


def limit(pid: int, folder: Path) -> None:
    """Where there is no small disk: no file of ``pid`` may grow beyond what the longest one has.

    Writing then fails with EFBIG in place of ENOSPC, in every folder.
    """
    longest = max((p.stat().st_size for p in folder.rglob("*") if p.is_file()), default=0)
    most = (longest + _ROOM, resource.RLIM_INFINITY)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, most)
