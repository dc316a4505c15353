"""What checks have found, by what they have looked at: they are asked again where that is another.

A check is a function of its subject. While it looks, each part that it touches is noted: a field of
the subject, an entry of a mapping in a field. Where all of them are equal another time, so is what
it finds. A run verifies once and needs no memo; testing the verification asks it hundreds of times
about subjects that differ in little.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping
from types import MethodType
from typing import Any, TypeVar

T = TypeVar("T")
Notes = dict[tuple[Hashable, ...], Any]  # (field,) or (field, key) -> what was there


class Memo:
    """Keeps, of each function, the first that it gave, and what it has looked at for that."""

    def __init__(self) -> None:
        self._kept: dict[object, tuple[Notes, Any]] = {}

    def of(self, look: Callable[[Any], T], subject: object) -> T:
        """What ``look`` gives of ``subject``; it is asked unless all that it looks at is the same.

        Raises:
            whatever ``look`` raises; that is not kept.
        """
        kept = self._kept.get(look)
        if kept is not None:
            notes, known = kept
            if all(_is_same(_part(subject, path), was) for path, was in notes.items()):
                value: T = known
                return value
        notes = {}
        found = look(_Noted(subject, notes))
        self._kept.setdefault(look, (notes, found))
        return found


class _Gone:
    """Stands for a part that a subject does not have."""


_GONE = _Gone()


class _Noted:
    """A subject, what is touched of it noted; its properties and methods see the same."""

    def __init__(self, subject: object, notes: Notes) -> None:
        self._subject, self._notes = subject, notes

    def __getattr__(self, name: str) -> Any:
        declared = inspect.getattr_static(type(self._subject), name)
        if isinstance(declared, property) and declared.fget:
            return declared.fget(self)
        if inspect.isfunction(declared):
            return MethodType(declared, self)
        value = getattr(self._subject, name)
        if isinstance(value, Mapping):
            return _NotedMapping(name, value, self._notes)
        self._notes[(name,)] = value
        return value


class _NotedMapping(Mapping[Any, Any]):
    """A mapping, what is taken out of it noted."""

    def __init__(self, name: str, mapping: Mapping[Any, Any], notes: Notes) -> None:
        self._name, self._mapping, self._notes = name, mapping, notes

    def __getitem__(self, key: Any) -> Any:
        self._notes[self._name, key] = self._mapping.get(key, _GONE)
        return self._mapping[key]

    def __iter__(self) -> Iterator[Any]:
        self._notes[(self._name,)] = tuple(self._mapping)
        return iter(self._mapping)

    def __len__(self) -> int:
        return len(tuple(iter(self)))


def _part(subject: object, path: tuple[Hashable, ...]) -> Any:
    name, *keys = path
    value = getattr(subject, str(name))
    if not isinstance(value, Mapping):
        return value
    return value.get(keys[0], _GONE) if keys else tuple(value)


def _is_same(one: Any, other: Any) -> bool:
    return one is other or bool(one == other)
