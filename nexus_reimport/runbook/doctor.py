"""Examines all that an environment needs, in seconds: what is right, and how to fix the rest.

Nothing is read but metadata and counts, and nothing is written; a login to Nexus's own API, where
the environment names it, leaves a session there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from nexus_reimport import application, checks, disks, storage, wording
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.errors import (
    NOTHING_WRITTEN,
    ReimportError,
    StorageError,
    StorageRefused,
    unforeseen,
)
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.files import synced
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus import deployment, rights
from nexus_reimport.nexus.connection import pg_tools, scratch, standbys
from nexus_reimport.nexus.connection.postgres import Connection, connected, scalar
from nexus_reimport.nexus.rights import Right, Task
from nexus_reimport.record.notebooks import pages
from nexus_reimport.runbook import connections, opening
from nexus_reimport.runbook.opening import every_right, lacking_of, today
from nexus_reimport.settings import Exports, Settings
from nexus_reimport.stages import census, sample, sign_off, snapshot

TASKS = (Task.RUN, Task.FINISH, Task.ROLLBACK)  # a right that one of them lacks stops it
DRIFT = 5.0  # seconds that the clocks may differ; S3 itself refuses from 15 minutes on
_READ = "tables can be read, and have"
FAR = 0.005  # seconds for an answer of PostgreSQL, from which on a run feels it
_PINGS = 10
# Questions to PostgreSQL, pg_restore's among them: they hardly grow with the clinic.
ASKED_BY_A_RUN, ASKED_BY_A_SELF_TEST, ASKED_UNDER_THE_LOCKS = 2_500, 14_000, 45
ROOM = 3  # times the database's size: the dump, the CSVs and the row files of one run


class State(StrEnum):
    """How one thing was found."""

    RIGHT = "ok"
    REMARK = "remark"  # a run goes on without it
    WRONG = "WRONG"  # a run would stop


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined; ``next`` says how to fix what is not right."""

    area: str  # "" until it is known who examined it
    state: State
    text: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was found."""

    environment: str
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether a run would find all that it needs."""
        return not any(f.state is State.WRONG for f in self.findings)


Examiner = Callable[[], Iterator[Finding]]


def examine(settings: Settings) -> Examination:
    """Everything that a run of the environment needs; a part that cannot be asked is a finding."""
    mapping = mappings.load_for(settings, environments.folder())
    asking: list[tuple[str, Examiner]] = [
        ("this machine", lambda: _machine(settings)),
        ("the environment's file", lambda: _shared(settings)),
        ("the environment's file", lambda: _waivers(settings)),
        ("the environment's file", lambda: _hooks(settings)),
        ("PostgreSQL", lambda: _postgres(settings, mapping)),
        ("FileMaker", lambda: _filemaker(settings, mapping)),
        ("S3", lambda: _s3(settings)),
        ("Nexus's API", lambda: _application(settings)),
        ("the way to production", lambda: _way(settings)),
    ]
    with ThreadPoolExecutor(len(asking)) as pool:
        parts = pool.map(lambda one: _findings(*one), asking)
        return Examination(settings.name, tuple(f for part in parts for f in part))


def _findings(area: str, examiner: Examiner) -> list[Finding]:
    """What an examiner finds; where it cannot go on, why."""
    findings: list[Finding] = []
    try:
        findings.extend(examiner())
    except ReimportError as error:
        findings.append(_refused(error))
    except Exception as error:  # one part that fails keeps nobody from the others
        findings.append(_refused(unforeseen(error)))
    return [replace(one, area=one.area or area) for one in findings]


def _right(text: str) -> Finding:
    return Finding("", State.RIGHT, text)


def _remark(text: str, next: str = "") -> Finding:
    return Finding("", State.REMARK, text, next)


def _wrong(text: str, next: str) -> Finding:
    return Finding("", State.WRONG, text, next)


def _refused(error: ReimportError) -> Finding:
    where = f" ({error.where})" if error.where else ""
    return _wrong(f"{error.what}{where}", error.next)


# ---------------------------------------------------------------- the environment's file


def _shared(settings: Settings) -> Iterator[Finding]:
    """What it names of another environment, and what comes from elsewhere than from its secrets."""
    for problem in environments.shared.problems(settings):
        yield _wrong(problem.what, problem.next)
    if names := environments.overridden(settings.name):
        yield _remark(
            f"exported in this terminal, so that .env.{settings.name} does not count:"
            f" {wording.some(names)}",
            "if that is not meant: unset them, or use a new terminal",
        )


def _waivers(settings: Settings) -> Iterator[Finding]:
    """Its waivers: whether each can apply, and which have ended."""
    checks.refuse_wrong_waivers(settings.waivers)
    over = [f"{w.check} (until {w.until})" for w in settings.waivers if w.until < today(settings)]
    if over:
        yield _remark(
            f"{wording.amount(len(over), 'waiver has', 'waivers have')} ended:"
            f" {wording.some(over)}",
            "give each a new date, if it still holds; else remove it",
        )
    elif settings.waivers:
        count = wording.amount(len(settings.waivers), "waiver")
        yield _right(f"{count}: each names a check that can be waived")


def _hooks(settings: Settings) -> Iterator[Finding]:
    """The clinic's own commands: whether their programs are on this machine."""
    for name in ("enter", "leave", "told"):
        command: tuple[str, ...] = getattr(settings.hooks, name)
        if not command or shutil.which(command[0]):
            continue
        text = f"[hooks] {name}: {command[0]} is not on this machine, or cannot be started"
        todo = "install it, or correct the path; then try the whole command by hand, twice"
        yield _remark(text, todo) if name == "told" else _wrong(text, todo)


# ---------------------------------------------------------------- this machine


def _machine(settings: Settings) -> Iterator[Finding]:
    clock = datetime.now(settings.zone)
    yield _right(
        f"FileMaker's clock shows {clock:%Y-%m-%d %H:%M} ({settings.timezone}): compare it with a"
        " clock in the clinic",
    )
    if low := disks.too_low():
        yield _wrong(f"too little for a run: {low.what}", low.fix)
    yield from _secrets(settings)
    for name, folder in (("runs", settings.folders.runs), ("private", settings.folders.private)):
        yield from _folder(name, folder)
    yield from _pages(pages.FOLDER)
    yield from _exports(settings.filemaker.exports)
    for note in scratch.unreadable(settings.scratch_register):
        yield _remark(
            f"{note} cannot be read: a killed run may have left the scratch database {note.stem}"
            " with patients' rows on a server",
            f"as an administrator of {settings.rehearsal_server.place}, drop {note.stem}"
            " if it exists; then delete the file",
        )
    for note, place in scratch.elsewhere(settings.copies_servers, settings.scratch_register):
        yield _remark(
            f"a killed run may have left the scratch database {note.stem} with patients' rows on"
            f" {place}, which the environment's file names no more",
            f"as an administrator of {place}, drop {note.stem} if it exists; then delete {note}",
        )


def _pages(folder: Path) -> Iterator[Finding]:
    """The runbook's pages: a run that cannot be taken back is not begun."""
    missing = [page for page in pages.ALL if not (folder / f"{page}.ipynb").is_file()]
    if missing:
        yield _wrong(
            f"the runbook lacks {wording.some(missing)}: {folder}",
            "run from a checkout that has them: without them no run begins",
        )
    else:
        yield _right(f"the runbook has all its pages: {folder}")


def _secrets(settings: Settings) -> Iterator[Finding]:
    """The file of secrets: loading the settings has refused one that others can read."""
    path = environments.folder() / f".env.{settings.name}"
    text = f"{path.name} is readable by you alone" if path.is_file() else "secrets are exported"
    yield _right(text)


def _existing(folder: Path) -> Path:
    """The folder, or the one above that is there: a first run makes the rest."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _folder(name: str, folder: Path) -> Iterator[Finding]:
    place = _existing(folder)
    if not os.access(place, os.W_OK):
        yield _wrong(
            f"[folders] {name}: you cannot write into {place}",
            f"give yourself the right, or name another folder in [folders] {name}",
        )
    elif program := synced.by(folder):  # of private files the settings have refused it
        yield _remark(
            f"[folders] {name} lies in a folder that {program} copies elsewhere: {folder}",
            f"name a folder outside of it in [folders] {name}",
        )
    else:
        yield _right(f"[folders] {name}: {folder}")


def _exports(place: Exports | None) -> Iterator[Finding]:
    """Exported files are patients' data, and nobody but a person has made their folder."""
    if place is None or not place.folder.is_dir():
        return
    name = f"the exported files: {place.folder}"
    if program := synced.by(place.folder):
        todo = "name a folder outside of it in [filemaker.exports]"
        yield _remark(f"{program} copies elsewhere {name}", todo)
    elif stat.S_IMODE(place.folder.stat().st_mode) & stat.S_IRWXO:
        text = f"other users of this machine can read {name}"
        yield _remark(text, f"run chmod 700 {shlex.quote(str(place.folder))}")
    else:
        yield _right(name)


# ---------------------------------------------------------------- the servers


def _postgres(settings: Settings, mapping: FieldMapping) -> Iterator[Finding]:
    with connected(settings.postgres) as connection:
        here = deployment.read(connection)
        size = deployment.size(connection)
        yield _right(f"{here.place}: {here.version}, {size / 1e6:,.0f} MB")
        yield from _clock(connection)
        yield from _distance(connection)
        yield from _standbys(connection)
        yield from _tools(settings, here.version)
        yield _room(settings, size)
        every = every_right(settings, mapping, Task.RUN, connection)
        missing = (r for task in TASKS for r in lacking_of(settings, every, task))
        lacking = tuple(dict.fromkeys(missing))
        yield from _rights(lacking)
        restore = lacking_of(settings, every, Task.RESTORE)
        yield from _not_granted(every, [right for right in restore if right not in lacking])
        if not lacking:
            opening.require_fit(connection, mapping)
            yield _right("every table and column that the mapping names")
            # last: before it is adopted, an administrator grants the rights
            deployment.require(connection, settings.name)
            yield _right(f"adopted as {settings.name}")


def _clock(connection: Connection) -> Iterator[Finding]:
    server = float(scalar(connection, "SELECT extract(epoch FROM clock_timestamp())::text"))
    apart = abs(datetime.now(UTC).timestamp() - server)
    text = f"the clocks of this machine and of PostgreSQL are {apart:,.1f} s apart"
    yield _right(text) if apart <= DRIFT else _remark(text, "set the clocks (NTP)")


def _distance(connection: Connection) -> Iterator[Finding]:
    """How long an answer takes, and what that costs: most questions wait for the one before."""

    def answered() -> float:
        began = time.monotonic()
        scalar(connection, "SELECT 1")
        return time.monotonic() - began

    each = min(answered() for _ in range(_PINGS))  # the others had to wait for a processor
    text = f"PostgreSQL answers in {1000 * each:,.1f} ms"
    if each <= FAR:
        yield _right(text)
        return
    test = wording.amount(round(ASKED_BY_A_SELF_TEST * each / 60), "minute")
    cost = (
        f"a run takes about {ASKED_BY_A_RUN * each:,.0f} s longer than beside it, on dev the test"
        f" of the verification {test}, and people wait {ASKED_UNDER_THE_LOCKS * each:,.1f} s longer"
        " to write"
    )
    yield _remark(f"{text}: {cost}", "run it on a machine near the database")


def _standbys(connection: Connection) -> Iterator[Finding]:
    try:
        standbys.require(connection, NOTHING_WRITTEN)
    except ReimportError as error:
        yield _refused(error)


def _tools(settings: Settings, version: str) -> Iterator[Finding]:
    try:
        binaries = pg_tools.folder(version, settings.postgres.binaries)
    except ReimportError as error:
        yield _refused(error)
        return
    tools_version = pg_tools.version(binaries)
    yield _right(f"pg_dump and pg_restore {tools_version}, in {binaries}")


def _room(settings: Settings, size: int) -> Finding:
    """Disk for one run's private files."""
    free = shutil.disk_usage(_existing(settings.folders.private)).free
    needed = f"a run needs up to {ROOM * size / 1e9:,.1f} GB"
    text = f"{free / 1e9:,.1f} GB are free for private files; {needed}"
    if free >= ROOM * size:
        return Finding("this machine", State.RIGHT, text)
    state = State.WRONG if free < size else State.REMARK
    return Finding("this machine", state, text, "free some, or name another [folders] private")


def _rights(lacking: tuple[Right, ...]) -> Iterator[Finding]:
    for one in rights.lines(lacking):
        yield _wrong(f"a right is missing: {one.what}", one.grant)
    if not lacking:
        yield _right("every right that a run and a rollback need")


def _not_granted(held: tuple[Right, ...], restore: list[Right]) -> Iterator[Finding]:
    """Rights without which a run goes on, each with what is then missing.

    ``restore``: those that only ``nexus-reimport restore`` needs, the way back if a rollback is
    refused. A statement is given once, also where more than one thing is missing without it.
    """
    optional = [r for r in held if r.rule.without and not r.held and set(r.rule.tasks) & set(TASKS)]
    without: dict[str, list[Right]] = {}
    for right in optional:
        without.setdefault(right.rule.without, []).append(right)
    without["nexus-reimport restore stops"] = restore
    losses: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for lost, lacking in without.items():
        for one in rights.lines(lacking):
            losses.setdefault((one.on, one.grant), []).append((one.why, lost))
    for (on, grant), reasons in losses.items():
        whys = "; ".join(why for why, _ in reasons)
        lost = "; and ".join(lost for _, lost in reasons)
        yield _remark(f"not granted: {on}: {whys}; without it {lost}", grant)


def _filemaker(settings: Settings, mapping: FieldMapping) -> Iterator[Finding]:
    asked, tables = connections.filemaker(settings.filemaker, mapping)
    refused = [e for e in (*(one.error for one in asked), *(t.error for t in tables)) if e]
    yield from dict.fromkeys(_refused(error) for error in refused)
    for one in asked:
        if not one.error:
            text = f"{one.name.partition(', ')[2]}: {one.product or 'the files are there'}"
            yield _right(f"{text}, {one.where}")
    if refused:
        return
    with Channels(settings.filemaker, mapping, connections.QUICKLY) as channels:
        snapshot.require_fields(channels, mapping)
    yield _right(
        f"{wording.amount(len(tables), 'table can be read, and has', _READ)} every field that the"
        " mapping needs",
    )


def _s3(settings: Settings) -> Iterator[Finding]:
    place = settings.s3
    try:
        _, key = census.ask(place)
        why = sample.why_unread(place, key) if place.sample and key else ""
    except StorageError as error:
        wrong = _refused(error)
        is_refused = isinstance(error, StorageRefused)
        yield replace(wrong, next=f"{error.next}\n{_policy(settings)}") if is_refused else wrong
        return
    yield _right(f"{storage.where(place)}: it can be listed")
    asked = f"and [s3] sample = {place.sample} asks for it"
    if why == sample.REFUSED:
        text = f"this account may not read objects, {asked}"
        yield _wrong(text, f"or write sample = 0\n{_policy(settings)}")
    elif why == sample.ENCRYPTED:
        text = f"an object cannot be read, {asked}: it is {sample.NO_KEY}"
        yield _wrong(text, sample.STORE_ANEW)
    elif place.sample and key:
        yield _right("its objects can be read")


def _application(settings: Settings) -> Iterator[Finding]:
    """A login, as verification makes it: after COMMIT is too late to learn of a wrong password."""
    if settings.application is None:
        return
    with application.opened(settings.application):
        yield _right(f"{settings.application.url}: {settings.application.user} is let in")


def _policy(settings: Settings) -> str:
    """The least that the account must be allowed, as S3 takes it."""
    place = settings.s3
    bucket = f"arn:aws:s3:::{place.bucket}"
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket}
    reading = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": [f"{bucket}/{prefix}*" for prefix in place.prefixes],
    }
    statements = [listing, reading] if place.sample else [listing]
    # The version of the language of policies: no date of ours.
    least = {"Version": "2012-10-17", "Statement": statements}
    return f"the least policy: {json.dumps(least)}"


# ---------------------------------------------------------------- the way


def _way(settings: Settings) -> Iterator[Finding]:
    if settings.window is not None and settings.window.has_ended(datetime.now(UTC), settings.zone):
        yield _remark(
            f"[window] is over: {settings.window.spelled(settings.zone)}; nothing is executed",
            "write the next one there; S5 and S7 are then signed again",
        )
    if settings.dev_environment:
        with suppress(ReimportError):
            dev = environments.load(settings.dev_environment)
            yield _right(f"a run needs a COMPLETE one of {dev.name} before it")
            return
        yield _wrong(
            f"dev_environment {settings.dev_environment} cannot be loaded",
            "correct its file, or the name",
        )
    if sign_off.is_asked(settings) and settings.window is None:
        yield _remark("no [window]: it may be executed at any hour")
