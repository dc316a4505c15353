"""Secrets: what environment variables and `.env.<name>` hold, put into the file's values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus_reimport import environ
from nexus_reimport.settings import credentials
from nexus_reimport.settings.values import FromEnvironment

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)


@dataclasses.dataclass(slots=True)
class Secrets:
    """The values of environment variables and of ``.env.<name>``, and what is wrong with them."""

    path: Path
    values: Mapping[str, str]
    unreadable: list[str]  # why the file cannot be used; then no variable is told as not set
    overridden: tuple[str, ...] = ()  # variables that have another value in the file
    misnamed: list[str] = dataclasses.field(default_factory=list)
    unset: dict[str, None] = dataclasses.field(default_factory=dict)  # names of variables
    stand_ins: set[str] = dataclasses.field(default_factory=set)  # places in the file

    @classmethod
    def read(cls, path: Path) -> Secrets:
        """Environment variables, and the file at ``path`` for variables that are not set."""
        in_file: dict[str, str] = {}
        unreadable = list(credentials.read(path, in_file))
        exported = environ.variables()
        overridden = [n for n, value in in_file.items() if exported.get(n, value) != value]
        return cls(path, {**in_file, **exported}, unreadable, tuple(overridden))

    @property
    def file(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def problems(self) -> list[str]:
        """All that is wrong, one cause once."""
        return [*self.problems_of_file, *self.misnamed]

    @property
    def problems_of_file(self) -> list[str]:
        """What is wrong with the file of secrets: it cannot be used, or lacks variables."""
        if self.unreadable or not self.unset:
            return self.unreadable
        listed = ", ".join(self.unset)
        verb, it = ("is", "it") if len(self.unset) == 1 else ("are", "them")
        lacks = "" if self.path.exists() else f", and there is no {self.file}"
        todo = f"export {it}, or write {it} into {self.file} (mode 0600)"
        return [f"{listed} {verb} not set{lacks}: {todo}"]

    def put_into(self, value: Any, place: tuple[str, ...]) -> Any:
        """``value`` with each ``{ env = "NAME" }`` replaced by what NAME holds."""
        if isinstance(value, dict) and set(value) == {"env"}:
            return self._named(value["env"], place)
        if isinstance(value, dict):
            return {k: self.put_into(v, (*place, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [self.put_into(v, (*place, str(n))) for n, v in enumerate(value)]
        return value

    def is_stand_in(self, place: str) -> bool:
        """Whether the value at ``place`` is not known, so that nothing can be said of it."""
        return place in self.stand_ins

    def _named(self, name: Any, place: tuple[str, ...]) -> FromEnvironment:
        if isinstance(name, str) and self.values.get(name):
            return FromEnvironment(self.values[name])
        self.stand_ins.add(dotted(place))
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            self.misnamed.append(
                f"{dotted(place)}: env must be the name of a variable, such as NEXUS_DEV_PASSWORD"
                " (capital letters, digits and _); this file must not hold the secret itself"
            )
        else:
            self.unset[name] = None
        return FromEnvironment("0")  # a stand-in, so that the rest of the file is checked too


def dotted(location: tuple[int | str, ...]) -> str:
    """A place in the file, as messages write it."""
    return ".".join(str(part) for part in location) or "the file"
