"""Loads a mapping from its file, checks it, and gives it its digest."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path as Folder
from typing import Any

from pydantic import ValidationError

from nexus_reimport import wording
from nexus_reimport.errors import MappingError, SettingsError
from nexus_reimport.files import private, textfile
from nexus_reimport.files.toml_places import Path
from nexus_reimport.mapping import problems
from nexus_reimport.mapping.field_mapping import FieldMapping
from nexus_reimport.mapping.problems import Problem
from nexus_reimport.settings import Settings, spelling


def load(name: str, base: Folder | None = None) -> FieldMapping:
    """The mapping ``name``: a shipped one, or a path to a TOML file (relative to ``base``).

    Raises:
        MappingError: all problems at once, each with its place. Nothing else was read.
    """
    return _loaded(name, _text(name, base))


@lru_cache(maxsize=8)  # a run asks for it at each step, a page for each answer
def _loaded(name: str, text: str) -> FieldMapping:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(
            f"the mapping {name} is not valid TOML: {error}",
            next="correct that line of the mapping's file, then run again; a name with a blank, an"
            " umlaut, or any sign but A to Z, a to z, 0 to 9, - and _ stands in quotes",
        ) from None
    mapping, mistakes = _validated(raw)
    if mapping is not None:
        mistakes += problems.find(mapping)
    if mapping is None or mistakes:
        raise problems.refused(f"the mapping {name} has", mistakes, text)
    digest = private.sha256(text.encode())
    return mapping.model_copy(update={"digest": digest, "text": text})


def shipped() -> list[str]:
    """The names of the mappings that come with the package."""
    folder = resources.files("nexus_reimport") / "mappings"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if ".toml" in f.name)


def load_for(settings: Settings, base: Folder) -> FieldMapping:
    """The mapping of an environment; it must have all that the environment's file names.

    Raises:
        MappingError: all problems of the mapping at once.
        SettingsError: decisions or channels for names that the mapping does not have, all at once.
            Nothing else was read.
    """
    mapping = load(settings.mapping, base)
    absent = [*_not_mapped(mapping, settings)]
    if absent:
        raise SettingsError(
            f"{settings.name}.toml names what the mapping does not have:"
            f" {wording.amount(len(absent), 'problem')}\n"
            + "\n".join(f"    {problem}" for problem in absent),
            where=f"mapping {settings.mapping}",
            next="correct the environment's file and start again",
        )
    return mapping


def _not_mapped(mapping: FieldMapping, settings: Settings) -> Iterator[str]:
    for entity, decisions in settings.decisions.items():
        spec = mapping.entities.get(entity)
        if spec is None:
            meant = wording.meant(entity, mapping.entities)
            yield f"decisions.{entity}: no entity is called {entity}{meant}"
            continue
        known = {"*", *spec.columns, *spec.decided()}
        for column in decisions.when_different.keys() - known:
            place = f'decisions.{entity}.when_different."{column}"'
            meant = wording.meant(column, known)
            yield f"{place}: the mapping feeds no such column, key or part{meant}"
        becomes = [rule.becomes for rule in spec.overrides if rule.asks]
        choices = ["keep", *becomes] if becomes else []
        if decisions.past_scheduled not in (None, *choices):
            must = f"must be {' or '.join(choices)}" if choices else f"{entity} has no such rule"
            yield f"decisions.{entity}.past_scheduled: {must}"
    for name in ("channels", "tables"):
        for source in getattr(settings.filemaker, name).keys() - mapping.sources.keys():
            meant = wording.meant(source, mapping.sources)
            yield f"filemaker.{name}.{source}: no source is called {source}{meant}"


def _validated(raw: dict[str, Any]) -> tuple[FieldMapping | None, list[Problem]]:
    """The mapping, and its problems.

    After unknown names were found it is checked again, to find the other problems: each under the
    name that was probably meant, or without it.
    """
    # These two are computed from the file: a mapping that sets them could pass for another one.
    ours = [name for name in ("digest", "text") if name in raw]
    mistakes: list[Problem] = [((name,), "is not a name that a mapping can use") for name in ours]
    for _ in range(2):
        try:
            return FieldMapping.model_validate(raw), mistakes
        except ValidationError as error:
            wrong = spelling.mistakes(error, FieldMapping)
        mistakes += _each_once((_in_file(raw, w.place, w.kind), w.text) for w in wrong)
        if any(w.kind != spelling.UNKNOWN for w in wrong):
            break
        raw = _corrected(raw, wrong)
    return None, mistakes


def _each_once(mistakes: Iterable[Problem]) -> Iterator[Problem]:
    """The mistakes, one for each value: of one that may have two forms pydantic tells two."""
    texts: dict[Path, list[str]] = {}
    for place, text in mistakes:
        texts.setdefault(place, []).append(text)
    for place, several in texts.items():
        # What is wrong inside of a value says that its form is right.
        if not any(len(other) > len(place) and other[: len(place)] == place for other in texts):
            first, *others = several
            yield place, ", or ".join([first, *(text.removeprefix("must be ") for text in others)])


def _in_file(raw: Any, place: Path, kind: str) -> Path:
    """The parts of ``place`` that the file has; also the last one, if that is missing.

    The others are pydantic's own: which of two forms of a value it has tried.
    """
    existing: list[str | int] = []
    for part in place:
        is_there = (
            part in raw
            if isinstance(raw, dict)
            else (isinstance(raw, list) and isinstance(part, int) and part < len(raw))
        )
        if is_there:
            existing.append(part)
            raw = raw[part]
    is_named = not existing or existing[-1] != place[-1]
    return (*existing, place[-1]) if kind == spelling.MISSING and is_named else tuple(existing)


def _corrected(raw: Any, mistakes: Iterable[spelling.Mistake]) -> Any:
    """``raw`` with each mistyped name as it was meant, and without the other unknown ones."""
    reduced = copy.deepcopy(raw)
    for mistake in mistakes:
        *way, last = mistake.place
        at = reduced
        for part in way:
            at = at.get(part, {}) if isinstance(at, dict) else at[int(part)]
        if isinstance(at, dict) and last in at:
            value = at.pop(last)
            if mistake.meant:
                at.setdefault(mistake.meant, value)
    return reduced


def _text(name: str, base: Folder | None) -> str:
    ours = resources.files("nexus_reimport") / "mappings" / f"{name}.toml"
    if ours.is_file():
        return ours.read_text(encoding="utf-8")
    path = (base or Folder()) / name
    if not path.is_file():
        raise MappingError(
            f"there is no mapping {name}: it is neither shipped nor a file"
            f"{wording.meant(name, shipped())}",
            where=str(path),
            next=f"write {path.name} (docs/mapping.md), or correct `mapping` in the environment's"
            f" file; shipped: {', '.join(shipped())}",
        )
    try:
        return textfile.read(path)
    except textfile.Undecodable as error:
        raise MappingError(
            error.message(path), where=str(path), next="save the mapping as UTF-8, then run again"
        ) from None
