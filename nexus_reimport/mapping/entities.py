"""The tables that are wiped and reimported: rules for their rows, and what feeds their columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nexus_reimport import ids
from nexus_reimport.convert import registry
from nexus_reimport.ids import Id
from nexus_reimport.mapping.columns import ColumnSpec, ConverterName
from nexus_reimport.mapping.sources import Part
from nexus_reimport.settings import Strict


class ExclusionRule(Strict):
    """A named rule by which a source record is not loaded, and its budget.

    ``at_most`` is a part of the source's records: if the rule leaves out more, the run stops.
    ``records`` names them one by one, by the FileMaker ids in a message.
    """

    name: str
    at_most: float = Field(ge=0, le=1)
    empty: tuple[str, ...] = ()  # all of these fields are empty
    unresolved: str = ""  # this column's entity was not found
    misfit: str = ""  # the value for this column does not fit
    records: tuple[str, ...] = ()

    @cached_property  # asked for every record
    def named_ids(self) -> Mapping[Id, None]:
        """The ids of ``records``, in their order."""
        return dict.fromkeys(map(ids.of, self.records))

    @model_validator(mode="after")
    def _one_reason(self) -> ExclusionRule:
        if sum(map(bool, (self.empty, self.unresolved, self.misfit, self.records))) != 1:
            raise ValueError("give exactly one of `empty`, `unresolved`, `misfit` and `records`")
        return self


class OverrideRule(Strict):
    """A named rule that changes a value in rows that FileMaker brings.

    If ``column`` holds ``was``, it ``becomes`` another value, provided that the column ``filled``
    has a value, or that the time in the column ``past`` is over. A rule that ``asks`` is decided by
    a person, in the environment's file.
    """

    name: str
    column: str
    was: str
    becomes: str
    filled: str = ""
    past: str = ""
    asks: bool = False

    @model_validator(mode="after")
    def _one_condition(self) -> OverrideRule:
        if bool(self.filled) == bool(self.past):
            raise ValueError("give either `filled` or `past`")
        if self.asks and self.name != "past_scheduled":
            raise ValueError("asks: only the rule past_scheduled is decided by a person")
        return self


class Identity(Strict):
    """One rule that matches source records with rows of Nexus.

    ``by = "filemaker_id"``, or columns whose fed values must equal the row's. Columns in ``folded``
    compare with blanks folded; ``then`` breaks ties between equal candidates.
    """

    name: str
    by: Literal["filemaker_id"] | Annotated[tuple[str, ...], Field(min_length=1)]
    # Earlier imports changed line ends: 11,166 of 11,166 notes match by folded text, none by date.
    folded: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


class DefaultRule(Strict):
    """A named rule for a value of a new row."""

    rule: Literal["as_of", "from", "completed_if_past", "sent_if"]
    source_field: str = Field(alias="from", default="")
    convert: ConverterName = "text"
    column: str = ""
    past: str = ""
    future: str = ""

    @model_validator(mode="after")
    def _complete(self) -> DefaultRule:
        needed = {"as_of": (), "from": ("from",)}.get(self.rule, ("column", "past", "future"))
        given = {
            "from": self.source_field,
            "column": self.column,
            "past": self.past,
            "future": self.future,
        }
        if missing := [name for name in needed if not given[name]]:
            raise ValueError(f"{self.rule}: lacks {', '.join(missing)}")
        if not registry.of(self.convert).is_plain:
            raise ValueError(f"convert: {self.convert} cannot be used for a new value")
        return self

    @property
    def words(self) -> str:
        """What a new row gets, as people read it."""
        if self.rule == "as_of":
            return "the time of the plan"
        if self.rule == "from":
            return f"FileMaker's {self.source_field}, else the time of the plan"
        when = "has a value" if self.rule == "sent_if" else "is over"
        return f"{self.past} if {self.column} {when}, else {self.future}"


class Entity(Strict):
    """One table that is wiped and reimported."""

    table: str
    source: str
    # The content type's name. Its number is looked up: it differs between installations.
    model: str = ""
    filemaker_id: str = ""  # column, or column.key, that holds FileMaker's id in Nexus
    identity: tuple[Identity, ...]
    matched_at_least: Part = 0.0
    left_out: tuple[ExclusionRule, ...] = ()
    overrides: tuple[OverrideRule, ...] = ()
    columns: dict[str, ColumnSpec]
    new: dict[str, str | DefaultRule] = {}
    serves: str = ""

    def gathered(self) -> tuple[str, ...]:
        """The sources whose records are merged into this entity's rows."""
        return tuple(dict.fromkeys(c.gather for c in self.columns.values() if c.gather))

    def decided(self) -> dict[str, ColumnSpec]:
        """What is counted and decided separately: columns, keys of JSON columns, parts of cards."""
        return {
            of: column
            for name, column in self.columns.items()
            for of in ([f"{name}.{part}" for part in column.parts] if column.gather else [name])
        }

    def fed_columns(self) -> tuple[str, ...]:
        """The columns that FileMaker feeds, whole or by keys, in the mapping's order."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.columns))
