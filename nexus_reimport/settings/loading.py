"""Finds an environment's file, reads it, and tells all its problems at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nexus_reimport import CHECKOUT, naming, wording
from nexus_reimport.errors import SettingsError
from nexus_reimport.files import textfile, toml_places
from nexus_reimport.settings import credentials, spelling
from nexus_reimport.settings.environment import Settings
from nexus_reimport.settings.variables import Secrets, dotted

ENVIRONMENT_VARIABLE = "NEXUS_REIMPORT_ENVIRONMENT"
FOLDER_VARIABLE = "NEXUS_REIMPORT_ENVIRONMENTS"
_FIX = "fix the file, then start again"
_OF_POSTGRES = ("sslrootcert", "sslcert", "sslkey", "binaries")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
# What no question to the database needs: parts that people edit in the night of a run.
_ASIDE = frozenset(
    {
        *("mapping", "application", "rehearsal", "window", "approval", "manual", "record"),
        *("decisions", "write", "waivers", "labels", "counts_may_differ"),
    }
)
_NO_PATHS = (None, "", "system")  # libpq: "system" is what this machine trusts


def folder() -> Path:
    """The folder of environment files: NEXUS_REIMPORT_ENVIRONMENTS, else the checkout's."""
    path = os.environ.get(FOLDER_VARIABLE)
    return Path(path) if path else CHECKOUT / "runbook" / "environments"


def every(
    broken: Callable[[str, SettingsError], None] | None = None, environments: Path | None = None
) -> Iterator[Settings]:
    """The environments that can be loaded; ``broken`` is called for each of the others."""
    for name in names(environments):
        try:
            yield load(name, environments)
        except SettingsError as error:
            if broken:
                broken(name, error)


def of_run(run: str, environments: Path | None = None) -> Settings | None:
    """The first environment that has a record of ``run``; None if none that can be loaded has."""
    if not run:
        return None
    loaded = every(environments=environments)
    return next((one for one in loaded if (one.records_folder / run).is_dir()), None)


def names(environments: Path | None = None) -> list[str]:
    """The names of all environments, loadable or not. A mapping in the same folder is skipped."""
    files = sorted((environments or folder()).glob("*.toml"))
    return [path.stem for path in files if not _is_mapping(path)]


def _is_mapping(path: Path) -> bool:
    """Whether a file is a mapping, even if it is not valid TOML."""
    try:
        text = textfile.read(path)
    except (textfile.Undecodable, OSError):
        return False
    try:
        tables = tomllib.loads(text).keys()
    except tomllib.TOMLDecodeError:
        # By its headers: a mapping with a mistake in it is still no environment.
        tables = dict.fromkeys(re.findall(r"^\s*\[+\s*\"?([\w-]+)", text, re.MULTILINE)).keys()
    return bool(tables & {"sources", "entities"}) and not tables & {"postgres", "filemaker"}


def load(environment: str, environments: Path | None = None) -> Settings:
    """The settings of ``environment``; if that is empty, of NEXUS_REIMPORT_ENVIRONMENT.

    Raises:
        SettingsError: all problems of the file at once. Nothing else was read, nothing written.
    """
    name = environment or os.environ.get(ENVIRONMENT_VARIABLE, "")
    where = environments or folder()
    path = where / f"{name}.toml"
    if not name or not path.is_file() or _is_mapping(path):
        raise _no_such(name, where)
    if (mark := being_replaced(path)).exists():
        raise SettingsError(
            f"nexus-reimport init did not end: of {path.name} and .env.{name} one may be new, and"
            " the other old",
            where=str(path),
            next=f"nexus-reimport init {name} --overwrite writes both; or compare them, correct"
            f" what is wrong, and delete {mark}",
        )
    try:
        text = textfile.read(path)
    except textfile.Undecodable as error:
        raise _refused(path, [error.message(path)]) from None
    except OSError as error:
        raise _refused(path, [f"{path.name}: cannot be read: {error.strerror}"]) from None
    return checked(path, text, Secrets.read(path.parent / f".env.{name}"))


def load_to_ask(environment: str) -> tuple[Settings, str]:
    """The settings with which its database can be asked, and what else is wrong with the file.

    Raises:
        SettingsError: as ``load``; what is wrong is needed to ask the right database.
    """
    try:
        return load(environment), ""
    except SettingsError as error:
        path = folder() / f"{environment}.toml"
        settings = None if being_replaced(path).exists() else _without_what_is_aside(path)
        if settings is None:
            raise
        return settings, error.what


def _without_what_is_aside(path: Path) -> Settings | None:
    """The settings without the parts that may be wrong; None where what is left cannot be used."""
    secrets = Secrets.read(path.parent / f".env.{path.stem}")
    try:
        written = _readable(textfile.read(path))
        raw = secrets.put_into({k: v for k, v in written.items() if k not in _ASIDE}, ())
        settings = Settings.model_validate(_absolute(raw, path.parent))
    except (textfile.Undecodable, OSError, ValidationError):
        return None
    is_known = not any(place.startswith("postgres.") for place in secrets.stand_ins)
    is_own = settings.name == path.stem and not [*_twins(path)]
    return settings if is_known and is_own else None


def _readable(text: str) -> dict[str, Any]:
    """What a file holds without each of its tables in which TOML finds a mistake."""
    lines = text.splitlines()
    while True:
        try:
            return tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError as error:
            place = _AT_LINE.search(str(error))
            heads = [n for n, line in enumerate(lines) if line.startswith("[")]
            wrong = int(place[1]) if place else len(lines)
            first = max((n for n in heads if n < wrong), default=0)
            end = min((n for n in heads if n > first), default=len(lines))
            del lines[first:end]


def being_replaced(path: Path) -> Path:
    """A file that is there while both files of an environment are replaced; a kill leaves it."""
    return path.with_name(f".env.{path.stem}.replacing")


def overridden(environment: str) -> tuple[str, ...]:
    """The variables of ``.env.<environment>`` that have another value in this process."""
    return Secrets.read(folder() / f".env.{environment}").overridden


def checked(path: Path, text: str, secrets: Secrets) -> Settings:
    """The settings that the file ``path`` has, or will have, with this text and these secrets.

    Raises:
        SettingsError: all problems at once.
    """
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, [f"is not valid TOML: {error}"]) from None
    raw = secrets.put_into(written, ())
    problems = [*_logins(written), *secrets.problems, *_twins(path)]
    settings = None
    try:
        settings = Settings.model_validate(_absolute(raw, path.parent))
    except ValidationError as error:
        problems += _mistakes(text, error, secrets)
    if settings is not None and settings.name != path.stem:
        problems.append(f'name: is "{settings.name}", but the file is called {path.name}')
    if settings is None or problems:
        raise _refused(path, problems, _how_to_fix(raw, problems, secrets))
    return settings


def _refused(path: Path, problems: Sequence[str], todo: str = _FIX) -> SettingsError:
    listed = "\n".join(f"    {problem}" for problem in problems)
    return SettingsError(
        f"{path.name}: {wording.amount(len(problems), 'problem')}\n{listed}",
        where=str(path),
        next=todo,
    )


def _no_such(name: str, where: Path) -> SettingsError:
    known = names(where)
    listed = f"known environments: {', '.join(known) or 'none'}, in {where}"
    listed += "" if where.is_dir() else ", which does not exist"
    if naming.RUN.fullmatch(name) and (owner := of_run(name, where)):
        return SettingsError(
            f"{name!r} is a run of {owner.name}, and no environment",
            where=listed,
            next=f"name {owner.name} here; the run goes where --help says",
        )
    named = "" if name else f", or set {ENVIRONMENT_VARIABLE}"  # a name outdoes the variable
    return SettingsError(
        f"no environment is called {name!r}{wording.meant(name, known)}"
        if name
        else "no environment was named",
        where=listed,
        next=f"name one of these{named}; nexus-reimport init NAME makes one",
    )


def _mistakes(text: str, error: ValidationError, secrets: Secrets) -> Iterator[str]:
    """What does not fit, each with its line; nothing of a value whose secret is not known."""
    lines = toml_places.lines(text)
    for mistake in spelling.mistakes(error, Settings):
        if not secrets.is_stand_in(dotted(mistake.place)):
            line = toml_places.line_of(mistake.place, lines)
            yield f"{f'line {line}, ' if line else ''}{dotted(mistake.place)}: {mistake.text}"


def _how_to_fix(raw: dict[str, Any], problems: Sequence[str], secrets: Secrets) -> str:
    if [*problems] == secrets.problems_of_file:
        is_made = raw.get("sandbox") is True and not secrets.unreadable
        return "nexus-reimport sandbox up writes it" if is_made else "do that, then start again"
    return _FIX


def _twins(path: Path) -> Iterator[str]:
    """Files whose names differ from this one's only in case.

    Where file names do not regard case (macOS, Windows), both would write into one folder.
    """
    own = path.name.casefold()
    alike = [one for one in sorted(path.parent.glob("*.toml")) if one.name.casefold() == own]
    for other in alike:
        if other.name != path.name and not _is_mapping(other):
            yield f"{other.name} has the same name except for case: records of both could mix"


def _logins(written: dict[str, Any]) -> Iterator[str]:
    for place, text in _texts(written):
        if credentials.suspected(text):
            yield (
                f"{dotted(place)}: looks like a login or a token, and this value is recorded and"
                ' shown; write a secret as { env = "NAME" }'
            )


def _texts(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a file, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*place, str(number)))


def _absolute(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    """``raw`` with absolute paths for its folders and files; a relative one starts at ``base``."""

    def absolute(path: Any) -> Any:
        return str((base / path).resolve()) if isinstance(path, str) else path

    folders, source = raw.get("folders"), raw.get("filemaker")
    if isinstance(folders, dict):
        raw = {**raw, "folders": {name: absolute(path) for name, path in folders.items()}}
    if isinstance(source, dict) and isinstance(source.get("exports"), dict):
        exports = {**source["exports"], "folder": absolute(source["exports"].get("folder"))}
        raw = {**raw, "filemaker": {**source, "exports": exports}}
    for name in ("filemaker", "s3", "application"):
        raw = _with_paths(raw, name, ("ca_file",), absolute)
    raw = _with_paths(raw, "postgres", _OF_POSTGRES, absolute)
    if isinstance(rehearsing := raw.get("rehearsal"), dict):
        raw = {**raw, "rehearsal": _with_paths(rehearsing, "server", _OF_POSTGRES, absolute)}
    if isinstance(recording := raw.get("record"), dict):
        recording = _with_paths(recording, "signature", ("key", "allowed_signers"), absolute)
        raw = {**raw, "record": _with_paths(recording, "archive", ("ca_file",), absolute)}
    return raw


def _with_paths(
    raw: dict[str, Any], part: str, names: Sequence[str], absolute: Callable[[Any], Any]
) -> dict[str, Any]:
    """``raw`` with absolute paths under these names of one of its parts."""
    given = raw.get(part)
    if not isinstance(given, dict):
        return raw
    paths = {name: given[name] for name in names if given.get(name) not in _NO_PATHS}
    return {**raw, part: given | {name: absolute(path) for name, path in paths.items()}}
