"""The runs of an environment: a new one, the one that is meant, all of them."""

from __future__ import annotations

import json
import platform
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import naming, program, wording
from nexus_reimport import settings as environments
from nexus_reimport.errors import NotClean, NotNow, OnlySealed
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import access, closing, lock, run
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.run import Run
from nexus_reimport.record.sealed import bag, chain, index, seal
from nexus_reimport.record.verdict import UNFINISHED, Verdict
from nexus_reimport.settings import Settings
from nexus_reimport.text import one_line

_AFRESH: dict[Path, list[Path]] = {}  # stays empty: each time that they are asked for
_LISTED: ContextVar[dict[Path, list[Path]]] = ContextVar("listed", default=_AFRESH)
_LINE = 1 << 20  # bytes: none of the first lines of a journal is longer
_UNREADABLE = (  # of a line that is no line of a journal
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


def create(settings: Settings, kind: str = "reimport", *, undoes: str = "", name: str = "") -> Run:
    """A new run of the environment; an unfinished earlier one that did nothing is sealed.

    ``kind`` is what it is for, ``name`` the person who begins it, if they have said so. A rollback
    may begin while the run that it ``undoes`` is unverified.

    Raises:
        NotNow: an earlier run is committed but unverified, or in doubt: finish that first.
        RecordError: other users can read what lies in the environment's folders.
        Busy: another run of this environment is at work.
    """
    lock.refuse_second(settings)
    access.require_private(settings)
    _refuse_former(settings)
    _finish_seal(settings)
    closed = _close_earlier(settings, undoes)
    new_run = _named(settings)
    with private.locked_folder(settings.records_folder):
        # Under another name until it is whole: a record that a kill cut short would be none.
        draft = settings.records_folder / f".{new_run.id}.new"
        try:
            draft_run = replace(new_run, folder=draft / bag.PAYLOAD)
            _begin(settings, draft_run, kind, undoes, name, closed)
            draft.rename(new_run.bag)
        finally:
            # Also what a kill has left, or this one on a full disk: the lock keeps others away.
            for left in settings.records_folder.glob(".*.new"):
                shutil.rmtree(left, ignore_errors=True)
    private.sync_path(settings.records_folder)
    return new_run


def _named(settings: Settings) -> Run:
    """A run with an id of its own, and its private folder; of its record there is nothing yet."""
    for folder in (settings.records_folder, settings.private_folder):
        private.close_folder(folder)
    while True:
        # To find it by. The order of records is their number, which each gets when it is sealed.
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        new_run = run.of(settings, f"{stamp}-{secrets.token_hex(2)}")
        # Of a hundred runs of one second two may have drawn the same.
        with suppress(FileExistsError):
            if not new_run.bag.exists():
                private.new_folder(new_run.private)
                return new_run


def _begin(
    settings: Settings, new_run: Run, kind: str, undoes: str, name: str, closed: list[list[str]]
) -> None:
    """The first files of a record, and the first lines of its journal."""
    private.new_folder(new_run.folder)
    # A journal may lose its first lines: that the run is a rollback must not be lost with them.
    noted = {"undoes": undoes} if undoes else {}
    seal.write_json(new_run.folder / bag.ENVIRONMENT, settings.public() | noted)
    where = {"host": platform.node(), "libraries": program.libraries()}
    names = {"run": new_run.id, "environment": new_run.environment}
    file = environments.folder() / f"{new_run.environment}.toml"
    names["environment_file"] = private.sha256_of(file) if file.is_file() else ""
    last = chain.last(settings.records_folder)
    names["after"] = str(last.sequence if last else 0)
    turns = (_opened(earlier.bag).turn for earlier in open_runs(settings))
    names["turn"] = str(max(turns, default=0) + 1)
    names |= {"kind": kind, "who": program.account(), "name": one_line(name)}
    new_run.journal(Event.OPENED, **names, closed=closed, **where)
    if undoes:
        new_run.journal(Event.ROLLBACK, undoes=undoes)


def _refuse_former(settings: Settings) -> None:
    """One that another version has left open may have been committed: nothing starts beside it."""
    if unsealed := [folder.name for folder, is_sealed in former(settings) if not is_sealed]:
        raise NotNow(
            f"run {unsealed[0]} was begun by a former version of this package, and is still open",
            where=f"environment {settings.name}",
            state="nothing new was started",
            next=f"finish or seal it with the version that began it; or, if you know what became of"
            f" it, move its folder out of {settings.records_folder}",
        )


def refuse_unfinished(settings: Settings, undoes: str = "") -> None:
    """Stop while a run is in doubt, or is committed and not verified; ``undoes`` may be the latter.

    Raises:
        NotNow: one is. Nothing was started.
        Busy: a process is at work on one that is open.
    """
    for earlier in open_runs(settings):
        earlier.require_idle()
        verdict = earlier.verdict()  # of a run at which nobody works any more
        if verdict is Verdict.COMMITTED_UNVERIFIED and earlier.id == undoes:
            continue
        if verdict in UNFINISHED:
            raise NotNow(
                f"run {earlier.id} is {verdict}: {earlier.meaning()}",
                where=f"environment {settings.name}",
                state="nothing new was started",
                next=f"finish it first: nexus-reimport finish {settings.name}",
            )


def unfinished(settings: Settings) -> Run | None:
    """The run that a person must finish before anything else; None if none is.

    Beside an unverified run a rollback of it may be open: one that was killed has settled nothing,
    and one that is committed comes first, since its end closes the other.
    """
    return _to_finish(open_runs(settings))


def _to_finish(opened: Iterable[Run]) -> Run | None:
    unsettled = (one for one in opened if one.verdict() in UNFINISHED)
    return max(unsettled, key=lambda one: bool(one.undoes), default=None)


def _close_earlier(settings: Settings, undoes: str) -> list[list[str]]:
    """Seal what is open and must not be finished; the id of each, and what it was until then."""
    refuse_unfinished(settings, undoes)
    closed = []
    for earlier in open_runs(settings):
        if earlier.id == undoes and earlier.is_committed():
            continue
        # One that is not clean stays open, for a person to look at: nothing waits for that. One
        # that could not be signed says so itself, in its bag-info.txt.
        was = str(earlier.verdict())
        with suppress(NotClean):
            with suppress(OnlySealed):
                closing.close(settings, earlier)
            closed.append([earlier.id, was])
    return closed


def _finish_seal(settings: Settings) -> None:
    """A record whose seal was cut short gets its last file, and its place in the list of records.

    The list is for convenience: what keeps it from being written keeps nobody from working.
    """
    place = settings.records_folder
    noted = chain.noted_last(place)
    if noted is None or Path(noted.run).name != noted.run or index.lists(place / noted.run):
        return
    with private.locked_folder(place):  # who is sealing it now finishes it
        chain.finish(place / noted.run)
        if bag.is_sealed(place / noted.run):
            with suppress(OnlySealed):
                index.write(place)


def find(settings: Settings, run_id: str = "") -> Run:
    """The run ``run_id``; an empty one means the one that must be finished, else the one open run.

    Raises:
        NotNow: there is no such run; or none is open, or several of which none must be
            finished.
        Busy: another run of this environment is at work.
    """
    lock.refuse_second(settings)
    _finish_seal(settings)
    if run_id:
        named = run.of(settings, run_id)
        if Path(run_id).name != run_id or not (named.folder / JOURNAL).is_file():
            raise NotNow(
                f"no run {run_id} of {settings.name}", next="see nexus-reimport record list"
            )
        return named
    candidates = open_runs(settings)
    if first := _to_finish(candidates):
        return first
    if len(candidates) != 1:
        raise _not_one(settings, [r.id for r in candidates])
    return candidates[0]


def _not_one(settings: Settings, open_runs: list[str]) -> NotNow:
    environment, where = settings.name, str(settings.records_folder)
    listing = f"nexus-reimport record list {environment} shows what became of each run"
    if not open_runs:
        return NotNow(
            f"{environment} has no open run",
            where=where,
            next=f"01_preflight opens a new one; {listing}, and nexus-reimport status {environment}"
            " what comes next",
        )
    return NotNow(
        f"{environment} has {wording.amount(len(open_runs), 'open run')}:"
        f" {wording.some(open_runs)}",
        where=where,
        next=f"name one of them: --run, on a page run_id; {listing}",
    )


def every(settings: Settings) -> list[Run]:
    """All runs of the environment: sealed ones by their numbers, then those that are open.

    An open one stands before all that were sealed since it was opened: one that ended and could not
    be sealed is not the last run any more, once another one was. A rollback stands behind the run
    that it undoes.
    """
    place, known = settings.records_folder, _LISTED.get()
    folders = known.get(place) or _in_order(place)
    if known is not _AFRESH:
        known[place] = folders
    return [run.of(settings, folder.name) for folder in folders]


def _in_order(place: Path) -> list[Path]:
    return sorted(filter(_is_own, _with_journal(place)), key=_order)


def _with_journal(place: Path) -> list[Path]:
    return [f for f in chain.records(place) if (f / bag.PAYLOAD / JOURNAL).is_file()]


def _is_own(folder: Path) -> bool:
    """Whether a record says nothing else of itself than where it lies; ``chain.is_own``, if open.

    Else a record of dev, copied into the folder of production, would be its last run.
    """
    if bag.is_sealed(folder):
        return chain.is_own(folder)
    opened = _opened(folder)
    return opened.run in ("", folder.name) and opened.environment in ("", folder.parent.name)


def astray(settings: Settings) -> list[Path]:
    """The folders whose records say that they are of another run, or another environment.

    Somebody has copied them there, or renamed them: none counts as a run.
    """
    own = {one.id for one in every(settings)}
    return [f for f in _with_journal(settings.records_folder) if f.name not in own]


@contextmanager
def listed_once() -> Iterator[None]:
    """Within the block ``every`` gives the runs as it found them first.

    For who only looks: there may be one for each night of years, and the place of each is read.
    """
    before = _LISTED.set({})
    try:
        yield
    finally:
        _LISTED.reset(before)


def folders(settings: Settings) -> list[Path]:
    """The folders of all records of the environment, whatever lies in them."""
    return chain.records(settings.records_folder)


def with_journal(settings: Settings) -> set[str]:
    """The runs whose journals are there, those of an older version too."""
    return {one.id for one in every(settings)} | {folder.name for folder, _ in former(settings)}


def without_journal(settings: Settings) -> list[Path]:
    """The folders of runs whose journals are not there: nothing says what became of them."""
    known = {folder for folder, _ in former(settings)}
    known |= {*_with_journal(settings.records_folder)}
    named = (folder for folder in folders(settings) if naming.RUN.fullmatch(folder.name))
    return [folder for folder in named if folder not in known]


def _order(folder: Path) -> tuple[int, bool, int, int, str]:
    """No clock: where one was set back, a later run has an earlier name."""
    if bag.is_sealed(folder):
        return chain.number(folder), False, 0, 0, folder.name
    opened = _opened(folder)
    undone = chain.of(folder.parent / opened.undoes) if opened.undoes else None
    behind = max(opened.after, undone.sequence if undone else 0)
    return behind, True, opened.after, opened.turn, folder.name


@dataclass(frozen=True, slots=True)
class _Opened:
    """What an open run stands behind: by its number, the last record when it was opened.

    A rollback stands behind the run that it ``undoes``, which may have been sealed since. Its
    ``turn`` is one more than that of any run that was open beside it.
    """

    after: int
    turn: int
    undoes: str
    run: str = ""  # which it says it is, and of which environment
    environment: str = ""


def _opened(folder: Path) -> _Opened:
    """By the first lines of its journal. One that does not say it, or cannot be read, counts as the
    latest: somebody should look at it.
    """
    try:
        with (folder / bag.PAYLOAD / JOURNAL).open("rb") as file:
            opened, second = (json.loads(file.readline(_LINE) or b"{}") for _ in range(2))
        undoes = str(second.get("undoes", ""))
        is_name = naming.RUN.fullmatch(undoes)
        turn = int(opened.get("turn", 0))  # an older version has written none
        names = str(opened.get("run", "")), str(opened.get("environment", ""))
        return _Opened(int(opened["after"]), turn, undoes if is_name else "", *names)
    except _UNREADABLE:
        return _Opened(sys.maxsize, 0, "")


def former(settings: Settings) -> list[tuple[Path, bool]]:
    """Records of a former version, whose files are no bag; and whether each was sealed."""
    return [
        (folder, (folder / "manifest.json").is_file())
        for folder in chain.records(settings.records_folder)
        if (folder / JOURNAL).is_file()
    ]


def open_runs(settings: Settings) -> list[Run]:
    """The runs that were never sealed, oldest first; none that has lost its seal."""
    unsealed = [one for one in every(settings) if not one.is_sealed]
    held = chain.held_by_others(settings.records_folder) if unsealed else {}
    return [one for one in unsealed if one.id not in held]


def taken_back(runs: Iterable[Run]) -> dict[str, str]:
    """Run -> the rollback that has taken it back, by the rollbacks among ``runs``."""
    rollbacks: dict[str, str] = {}
    for one in runs:
        if (undone := one.undoes) and one.is_committed():  # few are rollbacks
            rollbacks[undone] = one.id
    return rollbacks
