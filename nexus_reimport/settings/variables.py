"""Secrets: what environment variables and `.env.<name>` hold, put into the file's values."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus_reimport.settings import credentials
from nexus_reimport.settings.values import FromEnvironment

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Secrets:
    """The values of environment variables and of ``.env.<name>``, and the problems in them."""

    file: str
    values: Mapping[str, str]
    problems: list[str]
    is_readable: bool
    unset: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def read(cls, path: Path, problems: list[str]) -> Secrets:
        """Environment variables, and the file at ``path`` for variables that are not set."""
        in_file: dict[str, str] = {}
        unreadable = list(credentials.read(path, in_file))
        problems += unreadable
        return cls(path.name, {**in_file, **os.environ}, problems, not unreadable)

    def put_into(self, value: Any, place: tuple[str, ...]) -> Any:
        """``value`` with each ``{ env = "NAME" }`` replaced by what NAME holds."""
        if isinstance(value, dict) and set(value) == {"env"}:
            return self._named(value["env"], place)
        if isinstance(value, dict):
            return {k: self.put_into(v, (*place, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [self.put_into(v, (*place, str(n))) for n, v in enumerate(value)]
        return value

    def _named(self, name: Any, place: tuple[str, ...]) -> FromEnvironment:
        if isinstance(name, str) and self.values.get(name):
            return FromEnvironment(self.values[name])
        self.unset.add(dotted(place))
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            self.problems.append(
                f"{dotted(place)}: env must be the name of a variable, such as NEXUS_DEV_PASSWORD"
                " (capital letters, digits and _); this file must not hold the secret itself"
            )
        elif self.is_readable:
            self.problems.append(
                f"{name} is not set: export it, or write it into {self.file} (mode 0600)"
            )
        return FromEnvironment("0")  # a stand-in, so that the rest of the file is checked too


def dotted(location: tuple[int | str, ...]) -> str:
    """A place in the file, as messages write it."""
    return ".".join(str(part) for part in location) or "the file"
