"""What the files of two environments both name: then one may name what is the other's.

A database carries a marker that says whose it is. A bucket and Nexus's own API carry none, and
those of a copied installation look alike from inside. FileMaker is not compared: dev and prod read
the same file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexus_reimport import disks
from nexus_reimport.errors import SettingsError
from nexus_reimport.files import textfile
from nexus_reimport.settings import credentials, loading
from nexus_reimport.settings.environment import Settings
from nexus_reimport.settings.variables import Secrets


def refuse(settings: Settings) -> None:
    """Stop where another environment's file names the bucket or the API of this one.

    Raises:
        SettingsError: it does; both files are named. Nothing was written.
    """
    for problem in problems(settings):
        raise problem


def problems(settings: Settings, environments: Path | None = None) -> Iterator[SettingsError]:
    """What this environment's file and another one both name, each as an error."""
    folder = environments or loading.folder()
    for name in loading.names(folder):
        if name != settings.name:
            yield from _both(settings, name, _read(folder / f"{name}.toml"), folder)


def _both(
    settings: Settings, name: str, theirs: Mapping[str, Any], folder: Path
) -> Iterator[SettingsError]:
    ours, files = settings.model_dump(), f"{settings.name}.toml and {name}.toml"
    bucket = _bucket(ours, "s3")
    if bucket == _bucket(theirs, "s3") and name not in settings.s3.shared_with:
        yield SettingsError(
            f"{files} name the same bucket: {bucket}",
            where=str(folder),
            next="correct bucket of [s3] in the file that is wrong; only if both environments"
            f' really have one bucket: write shared_with = ["{name}"] into [s3] of'
            f" {settings.name}.toml",
        )
    for one, other in ((ours, theirs), (theirs, ours)):
        if (archive := _bucket(one, "record", "archive")) and archive == _bucket(other, "s3"):
            yield SettingsError(
                f"{files} name one bucket for records and for documents and images: {archive}",
                where=str(folder),
                next="name another bucket in [record.archive]: nothing is written beside documents",
            )
    if mixed := _mixed_folder(settings, folder, theirs):
        yield SettingsError(
            f"{files} name one folder for records and for patients' data: {mixed}",
            where=str(folder),
            next="correct [folders] in the file that is wrong: records are archived",
        )
    url = _address(ours, "application", "url")
    if url and url == _address(theirs, "application", "url"):
        yield SettingsError(
            f"{files} name the same address of Nexus's API: {url}",
            where=str(folder),
            next="correct url of [application] in the file that is wrong",
        )


def _read(path: Path) -> Mapping[str, Any]:
    """What a file says, with the values of its variables, right or wrong; nothing if unreadable."""
    try:
        written = tomllib.loads(textfile.read(path))
    except (textfile.Undecodable, tomllib.TOMLDecodeError, OSError) as error:
        if disks.failure(error):  # one that belongs to another account is not ours to read
            raise
        return {}
    file: dict[str, Any] = Secrets.read(path.parent / f".env.{path.stem}").put_into(written, ())
    return file


def _bucket(file: Mapping[str, Any], *parts: str) -> str:
    name, endpoint = (_text(file, *parts, key) for key in ("bucket", "endpoint"))
    return credentials.bucket(name, endpoint)


def _address(file: Mapping[str, Any], *place: str) -> str:
    return credentials.as_compared(_text(file, *place))


def _mixed_folder(settings: Settings, folder: Path, file: Mapping[str, Any]) -> Path | None:
    """A folder of records in which, or above which, the other environment has private files."""
    ours = settings.folders
    for own, part in ((ours.runs, "private"), (ours.private, "runs")):
        if text := _text(file, "folders", part):
            other = (folder / text).resolve()
            if own.is_relative_to(other) or other.is_relative_to(own):
                return own
    return None


def _text(file: Any, *place: str) -> str:
    for name in place:
        file = file.get(name) if isinstance(file, Mapping) else None
    return "" if file is None else str(file)
