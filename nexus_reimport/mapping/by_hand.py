"""What only a person knows."""

from __future__ import annotations

from pydantic import Field

from nexus_reimport.settings import Strict


class ByHand(Strict):
    """Values of one kind that only a person knows; a sheet is written for them.

    ``columns`` are asked for where one of them is empty: column -> ``table.column`` of the names
    to choose from, or "" for a text or a date. ``show`` tells the person whose row it is
    (``column``, or ``column.column`` through the entity that it points at). With ``where_any``
    only rows are listed that hold a value in one of these columns.
    """

    entity: str
    columns: dict[str, str] = Field(min_length=1)
    show: tuple[str, ...]
    where_any: tuple[str, ...] = ()
    serves: str = ""
