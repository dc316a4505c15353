"""What checks have found, by what they have looked at: they are asked again where that is another.

A check is a function of its subject. While it looks, each part that it touches is noted: a field of
the subject or of its plan, an entry of a mapping in a field. Where all of them are equal another
time, so is what it finds. A run verifies once and needs no memo; testing the verification asks it
hundreds of times about subjects that differ in little.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any, TypeVar

from nexus_reimport.model import Plan

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Field:
    """A step into a field."""

    name: str


@dataclass(frozen=True, slots=True)
class _Key:
    """A step into an entry of a mapping."""

    key: Hashable


Path = tuple[_Field | _Key, ...]
Notes = dict[Path, Any]  # what was there


class Memo:
    """Keeps, of each function, the first that it gave, and what it has looked at for that."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], tuple[Any, Notes]] = {}

    def of(self, look: Callable[..., T], subject: object, *about: Hashable) -> T:
        """What ``look`` gives of ``subject``; it is asked unless all that it looks at is the same.

        ``about`` is what it is asked about besides.

        Raises:
            whatever ``look`` raises; that is not kept.
        """
        value: T
        value, _ = self._looked(look, subject, *about)
        return value

    def _looked(self, look: Callable[..., T], subject: object, *about: Hashable) -> tuple[T, Notes]:
        """What it gives, and what it has looked at."""
        kept = self._kept.get((look, *about))
        if kept is not None:
            known, seen = kept
            if all(_is_same(_part(subject, path), was) for path, was in seen.items()):
                return known, seen
        notes: Notes = {}
        noted = _Noted(subject, notes, self._looked)
        value = look(noted, *about)
        self._kept.setdefault((look, *about), (value, notes))
        return value, notes


class _Gone:
    """Stands for a part that a subject does not have."""


_GONE = _Gone()


class _Noted:
    """A subject, what is touched of it noted; its properties and methods see the same."""

    def __init__(
        self, subject: object, notes: Notes, looked: Callable[..., Any], path: Path = ()
    ) -> None:
        self._subject, self._notes, self._looked, self._path = subject, notes, looked, path

    def once(self, look: Callable[..., T], *about: Hashable) -> T:
        """What ``look`` gives, for all that ask; what it has looked at, they have looked at."""
        value: T
        value, notes = self._looked(look, self._subject, *about)
        self._notes.update(notes)
        return value

    def __getattr__(self, name: str) -> Any:
        declared = inspect.getattr_static(type(self._subject), name)
        if isinstance(declared, property) and declared.fget:
            return declared.fget(self)
        if inspect.isfunction(declared):
            return MethodType(declared, self)
        value, path = getattr(self._subject, name), (*self._path, _Field(name))
        if isinstance(value, Mapping):
            return _NotedMapping(value, self._notes, path)
        if isinstance(value, Plan):
            return _Noted(value, self._notes, self._looked, path)
        self._notes[path] = value
        return value


class _NotedMapping(Mapping[Any, Any]):
    """A mapping, what is taken out of it noted."""

    def __init__(self, mapping: Mapping[Any, Any], notes: Notes, path: Path) -> None:
        self._mapping, self._notes, self._path = mapping, notes, path

    def __getitem__(self, key: Any) -> Any:
        # Noted first: that a key is missing is also something that was seen.
        self._notes[*self._path, _Key(key)] = self._mapping.get(key, _GONE)
        return self._mapping[key]

    def __iter__(self) -> Iterator[Any]:
        self._notes[self._path] = tuple(self._mapping)
        return iter(self._mapping)

    def __len__(self) -> int:
        return len(tuple(iter(self)))


def _part(subject: object, path: Path) -> Any:
    """What is at ``path``; of a mapping without a key its keys."""
    value: Any = subject
    for step in path:
        match step:
            case _Key(key):
                value = value.get(key, _GONE)
            case _Field(name):
                value = getattr(value, name)
    return tuple(value) if isinstance(value, Mapping) else value


def _is_same(one: Any, other: Any) -> bool:
    return one is other or bool(one == other)
