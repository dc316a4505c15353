"""What a kind of corruption is, and the list of all that are declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from nexus_reimport.model import Level
from nexus_reimport.saboteur.scene import Scene

Corrupt = Callable[[Scene], int]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: ``corrupt`` gives how many things it has changed, 0 where there are none.

    It must be found by a check of ``level`` at least. ``only_links`` says that it belongs to a run
    that re-links alone, too: that one wipes nothing, and compares no wiped table with a plan.
    """

    name: str
    meaning: str
    corrupts: str
    corrupt: Corrupt
    level: Level = Level.STOP
    only_links: bool = True


KINDS: dict[str, Kind] = {}


def declare(kind: Kind) -> None:
    """Add one kind; a name stands for one kind for good, since records are read by it.

    Raises:
        ValueError: the name is taken.
    """
    if kind.name in KINDS:
        raise ValueError(f"two kinds are called {kind.name}")
    KINDS[kind.name] = kind


def kind(
    corrupts: str, *, level: Level = Level.STOP, only_links: bool = True
) -> Callable[[Corrupt], Corrupt]:
    """Declare a function as a kind: its name, and its docstring's first line."""

    def add(corrupt: Corrupt) -> Corrupt:
        meaning = (inspect.getdoc(corrupt) or corrupt.__name__).splitlines()[0]
        declare(Kind(corrupt.__name__, meaning, corrupts, corrupt, level, only_links))
        return corrupt

    return add


def of_scope(*, only_links: bool) -> tuple[Kind, ...]:
    """The kinds of a run, in the order of their declaration."""
    return tuple(k for k in KINDS.values() if k.only_links or not only_links)
