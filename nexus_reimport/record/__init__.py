"""One run's record: folder, journal, verdict, seal, chain.

``<runs>/<environment>/<run>/`` goes to the archive: executed notebooks, ``journal.jsonl``, the
stages' values, ``verdict.json``, ``manifest.json``. It holds counts, ids and names of columns.
``<private>/<environment>/<run>/`` holds values: row files, the dump, CSVs; mode 0700.

The verdict is made from the journal, whose every line is on the disk before the work goes on.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import platform
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from nexus_reimport import model, wording
from nexus_reimport.errors import Busy, RecordError, ReimportError
from nexus_reimport.settings import Settings

T = TypeVar("T")
JOURNAL, VERDICT, MANIFEST = "journal.jsonl", "verdict.json", "manifest.json"
RUNNER_VARIABLE = "NEXUS_REIMPORT_RUNNER"
WRITING = frozenset({"apply", "undo"})  # the stages that end in a COMMIT
PROPOSALS = frozenset({"proposal", "rollback_proposal"})  # what approval is asked for
WORKERS = ".at_work"  # in a run's private folder: one locked file per process that works on it


class Verdict(StrEnum):
    """What became of a run."""

    COMPLETE = "COMPLETE"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    PARTIAL = "PARTIAL"
    WAITING = "WAITING"  # for an approval; the run is open, and nothing was written
    RUNNING = "RUNNING"  # a process is at work on it: never judged from a journal alone
    COMMITTED_UNVERIFIED = "COMMITTED_UNVERIFIED"
    IN_DOUBT = "IN_DOUBT"
    UNDONE = "UNDONE"  # committed, never verified, and taken back by a rollback


EXIT_CODES = {
    Verdict.COMPLETE: 0,
    Verdict.STOPPED: 1,
    Verdict.FAILED: 3,
    Verdict.KILLED: 3,
    Verdict.PARTIAL: 1,
    Verdict.WAITING: 6,
    Verdict.COMMITTED_UNVERIFIED: 4,
    Verdict.IN_DOUBT: 5,
    Verdict.UNDONE: 1,
}


class State(StrEnum):
    """What a run has left in the database, as its journal and the database have said."""

    AS_IT_WAS = "as it was: nothing was written"
    UNKNOWN = "not known: COMMIT may or may not have happened"
    COMMITTED = "committed"
    TAKEN_BACK = "committed, and taken back since"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one environment: where its record and its private files lie."""

    environment: str
    id: str
    folder: Path
    private: Path

    @property
    def kind(self) -> str:
        """What the run is for: reimport, relink or rollback."""
        return next(
            (e.get("kind", "reimport") for e in self.events() if e["event"] == "opened"), "reimport"
        )

    # -------------------------------------------------------------- journal

    def journal(self, event: str, **facts: Any) -> None:
        """Add one line to the journal; it is on the disk when this returns."""
        line = {"at": datetime.now(UTC).isoformat(), "event": event, **facts}
        with (self.folder / JOURNAL).open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def events(self) -> list[dict[str, Any]]:
        """The journal's lines; a last one that was cut by a kill is left out."""
        path = self.folder / JOURNAL
        found = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Journals that a stage started, and that it finished or failed, whatever happens."""
        self.require_open()
        with self.at_work():
            self.journal("started", stage=name, pid=os.getpid())
            try:
                yield
            except BaseException as error:
                self.journal("failed", stage=name, **_told(error))
                raise
            self.journal("finished", stage=name)

    # -------------------------------------------------------------- who works on it

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Held by a process while it works on this run: by it a live run is told from a killed one.

        A file of its own, locked: the system lets go of the lock when the process ends in any way.
        """
        path = self.private / WORKERS / f"{os.getpid()}-{secrets.token_hex(4)}"
        file = None
        with suppress(OSError):  # a disk that is full must not become the stage's error
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = path.open("x")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            if file is not None:
                path.unlink(missing_ok=True)
                file.close()

    def workers(self) -> tuple[int, ...]:
        """The processes that are at work on this run: those that hold their lock."""
        return tuple(
            int(path.name.partition("-")[0])
            for path in sorted((self.private / WORKERS).glob("*-*"))
            if _is_held(path)
        )

    # -------------------------------------------------------------- values

    def save(self, name: str, value: Any) -> None:
        """Keep a stage's value in the record."""
        model.save(value, self.folder / f"{name}.json")

    def load(self, kind: type[T], name: str) -> T:
        """A stage's value.

        Raises:
            RecordError: the stage has not been run, or its value was changed.
        """
        return model.load(kind, self.folder / f"{name}.json")

    def has(self, name: str) -> bool:
        """Whether a stage's value is there."""
        return (self.folder / f"{name}.json").is_file()

    def forget(self, names: Iterable[str]) -> None:
        """Take away values that a step, run again, has made void."""
        for name in names:
            (self.folder / f"{name}.json").unlink(missing_ok=True)

    @property
    def is_sealed(self) -> bool:
        """Whether the record is closed for good."""
        return (self.folder / MANIFEST).is_file()

    def require_idle(self) -> None:
        """Raise Busy while a process is at work on the run: its record is not closed under it."""
        if self.workers():
            raise _at_work(self)

    def require_open(self) -> None:
        """Raise RecordError if the record is sealed."""
        if self.is_sealed:
            raise RecordError(
                f"run {self.id} is sealed; a sealed record is never written to",
                where=f"environment {self.environment}",
                next="start a new run with 01_preflight",
            )

    # -------------------------------------------------------------- verdict and seal

    def verdict(self) -> Verdict:
        """What the journal says became of the run."""
        return judge(self.events())

    def standing(self) -> Verdict:
        """The verdict; RUNNING while a process is at work on the run, whatever the journal says."""
        return Verdict.RUNNING if not self.is_sealed and self.workers() else self.verdict()

    def state(self) -> State:
        """What the run has left in the database."""
        return state(self.events())

    def exit_code(self) -> int:
        """The exit code of the command that made this run."""
        return exit_code(self.events())

    def seal(self) -> str:
        """Write verdict and manifest; the digest of the manifest, to be anchored elsewhere.

        A run that waits for an approval will not get one any more: it ends as PARTIAL.
        """
        self.require_open()
        verdict = judge([*self.events(), {"event": "sealed"}])
        self.journal("sealed", verdict=verdict)
        said = {
            "run": self.id,
            "environment": self.environment,
            "verdict": verdict,
            "exit_code": self.exit_code(),
            "database": self.state(),
            "failed": last_failure(self.events()),
        }
        (self.folder / VERDICT).unlink(missing_ok=True)  # of a seal that a kill cut short
        _write(self.folder / VERDICT, said)
        before = last_sealed(self.folder.parent)
        files = {
            path.relative_to(self.folder).as_posix(): _sha256(path)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        }
        manifest = {
            "run": self.id,
            "environment": self.environment,
            "verdict": verdict,
            "sealed_at": datetime.now(UTC).isoformat(),
            "before": {"run": before.id, "seal": before.seal_digest()} if before else None,
            "files": files,
        }
        _write(self.folder / MANIFEST, manifest)
        return self.seal_digest()

    def seal_digest(self) -> str:
        """The digest of the manifest; "" while the record is open."""
        return _sha256(self.folder / MANIFEST) if self.is_sealed else ""

    def manifest(self) -> dict[str, Any]:
        """The sealed record's manifest."""
        return dict(json.loads((self.folder / MANIFEST).read_text(encoding="utf-8")))

    def problems(self) -> list[str]:
        """What of a sealed record is not as it was sealed: changed, missing, added files."""
        if not self.is_sealed:
            return ["not sealed"]
        manifest = self.manifest()
        files = manifest["files"]
        there = {
            p.relative_to(self.folder).as_posix()
            for p in self.folder.rglob("*")
            if p.is_file() and p.name != MANIFEST
        }
        found = [f"{name}: missing" for name in sorted(files.keys() - there)]
        found += [f"{name}: added after the seal" for name in sorted(there - files.keys())]
        found += [
            f"{name}: changed after the seal"
            for name in sorted(there & files.keys())
            if _sha256(self.folder / name) != files[name]
        ]
        before = manifest["before"]
        if before is not None:
            earlier = _run_at(self.folder.parent / before["run"], self)
            if earlier.seal_digest() != before["seal"]:
                found.append(f"the record before, {before['run']}, is not the one that was sealed")
        return found


def judge(events: list[dict[str, Any]]) -> Verdict:
    """The verdict that a journal's events give."""
    if is_committed(events):
        checked = ("checks_after", "checks_rollback", "sign_off")
        ends = [
            e["event"]
            for e in events
            if e["event"] == "verified" or (e["event"] == "failed" and e.get("stage") in checked)
        ]
        signed = bool(ends) and ends[-1] == "verified"
        undone = any(e["event"] == "undone" for e in events)
        unsigned = Verdict.UNDONE if undone else Verdict.COMMITTED_UNVERIFIED
        return Verdict.COMPLETE if signed else unsigned
    if _in_doubt(events):
        return Verdict.IN_DOUBT
    if _unfinished(events):
        return Verdict.KILLED
    if last := last_failure(events):
        if last.get("killed"):
            return Verdict.KILLED
        return Verdict.STOPPED if last.get("exit_code") in (1, 2) else Verdict.FAILED
    return Verdict.WAITING if _awaits_approval(events) else Verdict.PARTIAL


def last_failure(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last failure that no later try of the same stage has made good."""
    last = None
    for event in events:
        if event["event"] == "failed":
            last = event
        elif event["event"] == "finished" and last and event["stage"] == last.get("stage"):
            last = None
    return last


def _awaits_approval(events: list[dict[str, Any]]) -> bool:
    """Whether there is a proposal that stands, that nobody has approved, in an open record."""
    waits = False
    for event in events:
        name, stage = event["event"], event.get("stage")
        if name == "finished" and stage in PROPOSALS:
            waits = True
        ends = name == "sealed" or (name == "finished" and stage == "approval")
        if ends or (name == "void" and PROPOSALS.intersection(event["of"])):
            waits = False
    return waits


def state(events: list[dict[str, Any]]) -> State:
    """What a run has left in the database, by its journal's events."""
    if any(e["event"] == "undone" for e in events):
        return State.TAKEN_BACK
    if is_committed(events):
        return State.COMMITTED
    return State.UNKNOWN if _in_doubt(events) else State.AS_IT_WAS


def is_committed(events: list[dict[str, Any]]) -> bool:
    """Whether the run has been committed, by what it saw itself or by what the database said."""
    return any(
        e["event"] == "committed" or (e["event"] == "settled" and e["committed"]) for e in events
    )


def exit_code(events: list[dict[str, Any]]) -> int:
    """The exit code that a journal's events give: that of the error where one stopped the run."""
    verdict = judge(events)
    if verdict is Verdict.STOPPED:
        return int((last_failure(events) or {})["exit_code"])
    return EXIT_CODES[verdict]


def _in_doubt(events: list[dict[str, Any]]) -> bool:
    """Whether the last attempt may have been committed, and nobody has asked the database yet."""
    attempts = [
        n for n, e in enumerate(events) if e["event"] == "started" and e["stage"] in WRITING
    ]
    last = events[attempts[-1] :] if attempts else []
    names = [e["event"] for e in last]
    if not attempts or "settled" in names:
        return False
    sent = "committing" in names and "not committed" not in names
    return (
        sent or bool(_unfinished(last) & WRITING) or any(e.get("kind") == "InDoubt" for e in last)
    )


def _unfinished(events: list[dict[str, Any]]) -> set[str]:
    """The stages that started and neither finished nor failed."""
    running: set[str] = set()
    for event in events:
        if event["event"] == "started":
            running.add(event["stage"])
        elif event["event"] in ("finished", "failed"):
            running.discard(event["stage"])
    return running


def _told(error: BaseException) -> dict[str, Any]:
    """What the journal says of an error: its own four lines, or only the kind of a foreign one."""
    told: dict[str, Any] = {"kind": type(error).__name__}
    if isinstance(error, ReimportError):
        told |= {"what": error.what, "where": error.where, "state": error.state}
        told |= {"next": error.next, "exit_code": error.exit_code}
    elif isinstance(error, KeyboardInterrupt | SystemExit):
        told |= {"what": "interrupted", "killed": True, "exit_code": 3}
    else:
        told |= {"what": f"an unforeseen {type(error).__name__}", "exit_code": 3}
    return told


# ---------------------------------------------------------------- finding runs


def create(settings: Settings, kind: str = "reimport", *, undoes: str = "") -> Run:
    """A new run of the environment; an unfinished earlier one that did nothing is sealed.

    ``kind`` is what it is for. A rollback may begin while the run that it ``undoes`` is unverified.

    Raises:
        RecordError: an earlier run is committed but unverified, or in doubt: finish that first.
        Busy: another run of this environment is at work.
    """
    _refuse_second(settings)
    for earlier in open_runs(settings):
        verdict = earlier.verdict()
        if earlier.workers():
            raise _at_work(earlier)
        if verdict is Verdict.COMMITTED_UNVERIFIED and earlier.id == undoes:
            continue
        if verdict in (Verdict.COMMITTED_UNVERIFIED, Verdict.IN_DOUBT):
            raise RecordError(
                f"run {earlier.id} is {verdict}",
                where=f"environment {settings.name}",
                state="nothing new was started",
                next=f"finish it first: nexus-reimport finish {settings.name}",
            )
        earlier.seal()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run = _run(settings, f"{stamp}-{secrets.token_hex(2)}")
    for folder in (run.folder, run.private):
        folder.mkdir(parents=True, mode=0o700)
    run.folder.parent.chmod(0o700)
    run.private.parent.chmod(0o700)
    python = platform.python_version()
    run.journal("opened", kind=kind, who=getpass.getuser(), host=platform.node(), python=python)
    _write(run.folder / "environment.json", settings.public())
    return run


def find(settings: Settings, run_id: str = "") -> Run:
    """The run ``run_id``; an empty one means the environment's one open run.

    Raises:
        RecordError: there is no such run, or none or several are open.
        Busy: another run of this environment is at work.
    """
    _refuse_second(settings)
    if run_id:
        run = _run(settings, run_id)
        if Path(run_id).name != run_id or not (run.folder / JOURNAL).is_file():
            raise RecordError(
                f"no run {run_id} of {settings.name}", next="see nexus-reimport record list"
            )
        return run
    candidates = open_runs(settings)
    if len(candidates) != 1:
        listed = wording.some([r.id for r in candidates]) or "none"
        raise RecordError(
            f"{settings.name} has {wording.amount(len(candidates), 'open run')}: {listed}",
            next="run 01_preflight" if not candidates else "name one of them as run_id",
        )
    return candidates[0]


def every(settings: Settings) -> list[Run]:
    """All runs of the environment, oldest first."""
    place = settings.folders.runs / settings.name
    return [_run(settings, p.parent.name) for p in sorted(place.glob(f"*/{JOURNAL}"))]


def taken_back(runs: Iterable[Run]) -> dict[str, str]:
    """Run -> the rollback that has taken it back, by the rollbacks among ``runs``."""
    found: dict[str, str] = {}
    for run in runs:
        events = run.events()
        if is_committed(events):
            found |= {e["undoes"]: run.id for e in events if e["event"] == "rollback"}
    return found


def open_runs(settings: Settings) -> list[Run]:
    """The runs that are not sealed, oldest first."""
    return [run for run in every(settings) if not run.is_sealed]


def last_sealed(environment_folder: Path) -> Run | None:
    """The run that was sealed last."""
    sealed = [
        _run_at(path.parent, None) for path in sorted(environment_folder.glob(f"*/{MANIFEST}"))
    ]
    return max(sealed, key=lambda run: str(run.manifest()["sealed_at"]), default=None)


def _run(settings: Settings, run_id: str) -> Run:
    return Run(
        settings.name,
        run_id,
        settings.folders.runs / settings.name / run_id,
        settings.folders.private / settings.name / run_id,
    )


def _run_at(folder: Path, like: Run | None) -> Run:
    private = like.private.parent / folder.name if like else folder
    return Run(folder.parent.name, folder.name, folder, private)


# ---------------------------------------------------------------- one run at a time


@contextmanager
def at_work(settings: Settings) -> Iterator[None]:
    """Held by the runner while it is at work; its kernels know it by an environment variable.

    Raises:
        Busy: another runner is at work in this environment.
    """
    path = _lock_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+") as file:
        if not _try_lock(file.fileno()):
            raise _busy(settings)
        file.truncate(0)
        token = secrets.token_hex(8)
        file.write(token)
        file.flush()
        os.environ[RUNNER_VARIABLE] = token
        try:
            yield
        finally:
            os.environ.pop(RUNNER_VARIABLE, None)
            file.truncate(0)


def _refuse_second(settings: Settings) -> None:
    path = _lock_path(settings)
    if not path.is_file():
        return
    with path.open("r") as file:
        token = file.read()
        if token and token == os.environ.get(RUNNER_VARIABLE):
            return
        if not _try_lock(file.fileno()):
            raise _busy(settings)


def _lock_path(settings: Settings) -> Path:
    return settings.folders.runs / settings.name / ".at_work"


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock of this file; whoever looks at the same time holds none."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _at_work(run: Run) -> Busy:
    return Busy(
        f"run {run.id} is at work: {wording.some([f'pid {pid}' for pid in run.workers()])}",
        where=f"environment {run.environment}",
        state="that run goes on; nothing new was started, and no record was closed",
        next=f"wait until it has ended; nexus-reimport record list {run.environment} shows it",
    )


def _busy(settings: Settings) -> Busy:
    return Busy(
        f"another run of {settings.name} is at work",
        state="nothing new was started",
        next=f"wait until it has ended; nexus-reimport record list {settings.name} shows it",
    )


def _write(path: Path, value: Any) -> None:
    data = json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o600)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
