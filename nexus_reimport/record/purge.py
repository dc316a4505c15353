"""Deleting old private folders: what may go, what never goes, and the line that says who did it."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nexus_reimport import naming
from nexus_reimport.errors import SettingsError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import lab_pages, previews, runs
from nexus_reimport.record.run import Run, of
from nexus_reimport.record.sealed import chain, register
from nexus_reimport.record.verdict import UNFINISHED
from nexus_reimport.settings import Settings


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    """One folder of private files: of a run, or of pages that were stepped through by hand."""

    environment: str
    name: str  # of the run; of a lab, or a preview, with its folder before it
    path: Path
    files: int
    bytes_stored: int
    kept: str  # why it stays; "" where it may go


def age_of(text: str) -> timedelta:
    """``30d`` as a span of time.

    Raises:
        SettingsError: it is another text.
    """
    number = text.removesuffix("d")
    if not (text.endswith("d") and number.isdecimal() and number.isascii() and len(number) < 6):
        raise SettingsError(
            "--older-than must be a number of days", next="write it like this: --older-than 30d"
        )
    return timedelta(days=int(number))


def look(
    settings: Settings, older_than: timedelta, needed: Collection[str], now: datetime
) -> list[PrivateFolder]:
    """Every private folder of runs, labs and previews, and why it stays, if it does.

    ``needed`` are the runs that the database says can still be undone, or restored. Of a run whose
    record is not here a person must know where that is; a kill leaves such a folder empty. What a
    purge that was killed has left has no age: somebody has decided that it goes.
    """
    begun = register.being_purged(settings.records_folder)

    def age(name: str, path: Path) -> str:
        return "" if name in begun else _why_young(path, since)

    place, since = settings.private_folder, now - older_than
    names = {path.name for path in place.iterdir()} if place.is_dir() else set()
    known = {path.name for path in runs.folders(settings)}
    held = chain.held_by_others(settings.records_folder)

    def why(name: str) -> str:
        return _why_run_stays(of(settings, name), since, needed, held)

    folders = [_folder(settings, n, place / n, why(n)) for n in sorted(names & known)]
    for path in (place / name for name in sorted(names - known) if naming.RUN.fullmatch(name)):
        kept = "its record is not here" if any(path.iterdir()) else age(path.name, path)
        folders.append(_folder(settings, path.name, path, kept))
    for path in previews.left(settings):
        name = f"{previews.FOLDER}/{path.name}"
        folders.append(_folder(settings, name, path, age(name, path)))
    open_labs = {lab for run in runs.open_runs(settings) for lab in lab_pages.labs(run)}
    for path in sorted((place / lab_pages.FOLDER).glob("*")):
        name, is_open = f"{lab_pages.FOLDER}/{path.name}", path.name in open_labs
        kept = "an open run was stepped through in it" if is_open else age(name, path)
        folders.append(_folder(settings, name, path, kept))
    gone = (name for name in sorted(begun) if not (place / name).exists())
    return [*folders, *(_folder(settings, name, place / name, "") for name in gone)]


def purge(settings: Settings, folder: PrivateFolder, older_than: str) -> None:
    """Write down who deletes ``folder``, delete it, and write down that it is deleted.

    What a kill leaves can be purged again.
    """
    place = settings.records_folder
    size = {"files": folder.files, "bytes": folder.bytes_stored, "older_than": older_than}
    register.note(place, Event.PURGING, of=folder.name, **size)
    if folder.path.exists():
        shutil.rmtree(folder.path)
        private.sync_path(folder.path.parent)
    register.note(place, Event.PURGED, of=folder.name, **size)


def _why_run_stays(
    run: Run, since: datetime, needed: Collection[str], held: Mapping[str, set[str]]
) -> str:
    """The first reason of several; "" where nothing needs its private files."""
    if not run.is_sealed or run.workers():
        return "the run is open"
    if run.verdict() in UNFINISHED:
        return f"the run is {run.verdict()}"
    if run.problems(held):
        return "its record is not as it was sealed"
    if run.id in needed:
        return "the database may have to be taken back to before it"
    ended = max((entry.at for entry in run.events()), default=datetime.now(UTC))
    return "younger" if ended > since else ""


def _folder(settings: Settings, name: str, path: Path, kept: str) -> PrivateFolder:
    sizes = [p.lstat().st_size for p in path.rglob("*") if p.is_symlink() or p.is_file()]
    return PrivateFolder(settings.name, name, path, len(sizes), sum(sizes), kept)


def _why_young(folder: Path, since: datetime) -> str:
    """By the last change of what is in the folder, where no journal says when it was used."""
    return "younger" if max(map(_changed, (folder, *folder.rglob("*")))) > since else ""


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
