"""A FileMaker id as a value: as it is written, and as it compares.

It is made where something is read that holds an id: a record of FileMaker, a row of Nexus, the id
map, a rule of the mapping. From there on it travels, so that nobody compares ids by a rule of
their own. What is stored, listed, remembered, and hashed into a UUID is ``written``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nexus_reimport.text import id_key, name_key


@dataclass(frozen=True, slots=True)
class Id:
    """One id. Two are equal if FileMaker's relationships take them for one: ``text.id_key``."""

    written: str = field(compare=False)
    compared: str

    def __bool__(self) -> bool:
        """Whether there is an id at all."""
        return bool(self.compared)

    def __str__(self) -> str:
        """As it is written, for people."""
        return self.written


def of(written: str) -> Id:
    """The id that a text holds; a false one where it holds none."""
    return Id(written, id_key(written))


NONE = of("")


def looked_up(value: str) -> str:
    """An id or a name as lookups compare it: a lookup goes by either, without knowing which."""
    return name_key(id_key(value))
