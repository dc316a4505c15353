"""Reads a mapping from its file, whole or not at all, and gives it its digest."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path as Folder
from typing import Any

from pydantic import ValidationError

from nexus_reimport.errors import MappingError, SettingsError
from nexus_reimport.files import private, textfile
from nexus_reimport.files.toml_places import Path
from nexus_reimport.mapping import problems
from nexus_reimport.mapping.field_mapping import FieldMapping
from nexus_reimport.mapping.problems import Problem
from nexus_reimport.settings import Settings

_WORDS = {"extra_forbidden": "no such name is known here", "missing": "is missing"}


def load(name: str, base: Folder | None = None) -> FieldMapping:
    """The mapping ``name``: a shipped one, or a path to a TOML file (relative to ``base``).

    Raises:
        MappingError: all problems at once, each with its place. Nothing was read beyond the file.
    """
    text = _text(name, base)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"the mapping {name} is not valid TOML: {error}") from None
    mapping, found = _validated(raw)
    if mapping is not None:
        found += problems.find(mapping)
    if mapping is None or found:
        raise problems.refused(f"the mapping {name} has", found, text)
    digest = private.sha256(text.encode())
    return mapping.model_copy(update={"digest": digest, "text": text})


def load_for(settings: Settings, base: Folder) -> FieldMapping:
    """The mapping of an environment, which must have what the environment's file names.

    Raises:
        MappingError: all problems of the mapping at once.
        SettingsError: decisions or channels for what the mapping does not have, all at once.
    """
    mapping = load(settings.mapping, base)
    absent = [*_not_mapped(mapping, settings)]
    if absent:
        raise SettingsError(
            f"{settings.name}.toml names what the mapping does not have:"
            f" {len(absent)} problem(s)\n" + "\n".join(f"    {said}" for said in absent),
            where=f"mapping {settings.mapping}",
            next="correct the environment's file and start again",
        )
    return mapping


def _not_mapped(mapping: FieldMapping, settings: Settings) -> Iterator[str]:
    for entity, decisions in settings.decisions.items():
        spec = mapping.entities.get(entity)
        if spec is None:
            yield f"decisions.{entity}: no entity is called {entity}"
            continue
        known = {"*", *spec.columns, *spec.decided()}
        for column in decisions.when_different.keys() - known:
            yield f'decisions.{entity}.when_different."{column}": no column, key or part is fed'
        if decisions.past_scheduled and "past_scheduled" not in {r.name for r in spec.overrides}:
            yield f"decisions.{entity}.past_scheduled: {entity} has no such rule"
    for name in ("channels", "tables"):
        for source in getattr(settings.filemaker, name).keys() - mapping.sources.keys():
            yield f"filemaker.{name}.{source}: no source is called {source}"


def _validated(raw: dict[str, Any]) -> tuple[FieldMapping | None, list[Problem]]:
    """The mapping, and what is wrong with its parts.

    Names that nothing knows are passed over, so that what else is wrong is found as well.
    """
    ours = [name for name in ("digest", "text") if name in raw]
    found: list[Problem] = [((name,), "is no name of a mapping") for name in ours]
    for _ in range(2):
        try:
            return FieldMapping.model_validate(raw), found
        except ValidationError as error:
            wrong = [(e["type"], tuple(e["loc"]), e["msg"]) for e in error.errors()]
        found += [
            (_in_file(raw, loc, kind), _WORDS.get(kind, message.removeprefix("Value error, ")))
            for kind, loc, message in wrong
        ]
        if any(kind != "extra_forbidden" for kind, _, _ in wrong):
            break
        raw = _without(raw, [loc for _, loc, _ in wrong])
    return None, found


def _in_file(raw: Any, place: Path, kind: str) -> Path:
    """``place`` as far as the file has it; what is missing there is named too."""
    found: list[str | int] = []
    for part in place:
        is_there = (
            part in raw
            if isinstance(raw, dict)
            else (isinstance(raw, list) and isinstance(part, int) and part < len(raw))
        )
        if not is_there:
            return (*found, part) if kind == "missing" else tuple(found)
        found.append(part)
        raw = raw[part]
    return tuple(found)


def _without(raw: Any, places: Iterable[Path]) -> Any:
    """``raw`` without what stands at ``places``."""
    made = copy.deepcopy(raw)
    for *way, last in places:
        at = made
        for part in way:
            at = at.get(part, {}) if isinstance(at, dict) else at[int(part)]
        if isinstance(at, dict):
            at.pop(last, None)
    return made


def _text(name: str, base: Folder | None) -> str:
    shipped = resources.files("nexus_reimport") / "mappings" / f"{name}.toml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    path = (base or Folder()) / name
    if not path.is_file():
        raise MappingError(f"no mapping {name}: neither shipped nor a file", where=str(path))
    try:
        return textfile.read(path)
    except textfile.Undecodable as error:
        raise MappingError(error.message(path)) from None
