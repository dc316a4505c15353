"""Values that only a person knows."""

from __future__ import annotations

from pydantic import Field

from nexus_reimport.settings import Strict


class ByHand(Strict):
    """Values of one kind that only a person knows; a sheet is written for them.

    ``columns`` are asked for if one of them is empty: column -> ``table.column`` with the names to
    choose from, or "" for a text or a date. ``show`` are the columns that describe the row to the
    person (``column``, or ``column.column`` of the entity that the first one points at). With
    ``where_any``, only rows with a value in one of these columns are listed. ``future`` is a column
    with a time: what is over is listed only if the environment asks for it. ``ask`` is the question
    in plain words, ``titles`` the heads of columns whose names do not say what they hold.
    """

    entity: str
    columns: dict[str, str] = Field(min_length=1)
    show: tuple[str, ...]
    where_any: tuple[str, ...] = ()
    future: str = ""
    ask: str = ""
    titles: dict[str, str] = {}
    serves: str = ""
