"""The runs of an environment: a new one, the one that is meant, all of them."""

from __future__ import annotations

import getpass
import platform
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import wording
from nexus_reimport.errors import RecordError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import lock, manifest, run
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.run import Run
from nexus_reimport.record.verdict import Verdict
from nexus_reimport.settings import Settings


def create(settings: Settings, kind: str = "reimport", *, undoes: str = "") -> Run:
    """A new run of the environment; an unfinished earlier one that did nothing is sealed.

    ``kind`` is what it is for. A rollback may begin while the run that it ``undoes`` is unverified.

    Raises:
        RecordError: an earlier run is committed but unverified, or in doubt: finish that first.
        Busy: another run of this environment is at work.
    """
    lock.refuse_second(settings)
    _close_earlier(settings, undoes)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    made = run.of(settings, f"{stamp}-{secrets.token_hex(2)}")
    for folder in (made.folder, made.private):
        private.close_folder(folder.parent)
        private.new_folder(folder)
    where = {"host": platform.node(), "python": platform.python_version()}
    made.journal(Event.OPENED, kind=kind, who=getpass.getuser(), **where)
    manifest.write_new(made.folder / "environment.json", settings.public())
    return made


def _close_earlier(settings: Settings, undoes: str) -> None:
    for earlier in open_runs(settings):
        verdict = earlier.verdict()
        earlier.require_idle()
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


def find(settings: Settings, run_id: str = "") -> Run:
    """The run ``run_id``; an empty one means the environment's one open run.

    Raises:
        RecordError: there is no such run, or none or several are open.
        Busy: another run of this environment is at work.
    """
    lock.refuse_second(settings)
    if run_id:
        named = run.of(settings, run_id)
        if Path(run_id).name != run_id or not (named.folder / JOURNAL).is_file():
            raise RecordError(
                f"no run {run_id} of {settings.name}", next="see nexus-reimport record list"
            )
        return named
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
    return [run.of(settings, p.parent.name) for p in sorted(place.glob(f"*/{JOURNAL}"))]


def open_runs(settings: Settings) -> list[Run]:
    """The runs that are not sealed, oldest first."""
    return [one for one in every(settings) if not one.is_sealed]


def taken_back(runs: Iterable[Run]) -> dict[str, str]:
    """Run -> the rollback that has taken it back, by the rollbacks among ``runs``."""
    found: dict[str, str] = {}
    for one in runs:
        if one.is_committed() and (undone := one.undoes):
            found[undone] = one.id
    return found
