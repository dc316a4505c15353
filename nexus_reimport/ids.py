"""A FileMaker id as a value: as it is written, and as it compares.

It is made where an id is read: from a record of FileMaker, a row of Nexus, the id map, a rule of
the mapping. All later code uses the value, so there is only one rule by which ids compare.
``written`` is what is stored, listed, kept in the id map, and hashed into a UUID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nexus_reimport.text import JOINT, id_key, name_key


@dataclass(frozen=True, slots=True)
class Id:
    """One id. Two are equal if FileMaker's relationships treat them as equal: ``text.id_key``."""

    written: str = field(compare=False)
    compared: str

    def __bool__(self) -> bool:
        """Whether it is an id, and not empty."""
        return bool(self.compared)

    def __str__(self) -> str:
        """The id as it is written, for people."""
        return self.written


def compared(written: Sequence[str]) -> list[str]:
    """Many ids as they compare, where a value for each would be too slow."""
    joined = "".join(written)
    if joined.isascii() and "." not in joined and JOINT not in joined:
        # All that ``id_key`` does to such a text.
        return list(map(str.strip, map(str.lower, written)))
    return [id_key(one) for one in written]


def of(written: str) -> Id:
    """The id in a text; a false one if the text is empty."""
    key = id_key(written)
    # Most ids are written as they compare: then one text is held, not two.
    return Id(written, written if key == written else key)


NONE = of("")


def looked_up(value: str) -> str:
    """An id or a name in the form in which lookups compare; a lookup can be by either."""
    return name_key(id_key(value))
