"""What feeds one column of Nexus: fields of FileMaker, and how they are converted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from nexus_reimport.settings import Different, Strict

Converter = Literal[
    "text",
    "paragraphs",
    "uuid",
    "whole",
    "date",
    "birth_date",
    "timestamp",
    "moment",
    "end_moment",
    "dated",
    "choice",
    "phone",
    "lookup",
    "entity",
    "contact_card",
    "address_card",
    "html_pages",
    "sentence",
]
NEEDED_WITH: dict[str, frozenset[str]] = {
    "moment": frozenset({"time"}),
    "end_moment": frozenset({"time", "start_date", "start_time", "minutes"}),
    "dated": frozenset({"timestamp"}),
    "sentence": frozenset({"text"}),
    "html_pages": frozenset({"opening"}),
    "contact_card": frozenset({"kind", "value", "label", "default_mobile", "default_email"}),
    "address_card": frozenset(
        {"kind", "label", "line1", "line2", "suburb", "state", "postcode", "country"}
    ),
}
MAY_WITH: dict[str, frozenset[str]] = {"phone": frozenset({"else"})}
PLAIN = frozenset({"text", "paragraphs", "uuid", "whole", "date", "birth_date", "timestamp"})
NOT_FIELDS = frozenset({"minutes", "text"})  # entries of `with` that are values
# Converter -> part of its card -> the JSON keys that hold it, those of older shapes among them.
CARDS: dict[str, dict[str, tuple[str, ...]]] = {
    "contact_card": {"phones": ("phones", "phone", "mobile"), "emails": ("emails", "email")},
    "address_card": {
        "addresses": ("addresses", "street", "street2", "suburb", "state", "postcode")
    },
}


class Lookup(Strict):
    """One way to find a row of a protected table; ``through`` goes by another source first."""

    source_field: str = Field(alias="from")
    table: str
    match: str
    through: str = ""
    take: str = ""


class Column(Strict):
    """What feeds one column, or one key of a JSON column (``column.key``).

    A value that comes before the one of the column ``not_before`` does not fit.
    ``misfits_at_most`` is the part of the values that FileMaker holds which may not fit; where it
    is not given, 1% of them or five, whichever is more.
    """

    source_field: str = Field(alias="from", default="")
    convert: Converter = "text"
    with_: dict[str, str] = Field(alias="with", default={})
    choices: dict[str, tuple[str, ...]] = {}
    lookup: tuple[Lookup, ...] = ()
    entity: str = ""
    may_miss: bool = False
    gather: str = ""
    keys: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    folded: bool = False
    not_before: str = ""
    misfits_at_most: float | None = Field(default=None, ge=0, le=1)
    when_empty: Literal["keep", "clear"] = "keep"
    when_different: Different | None = None

    @model_validator(mode="after")
    def _complete(self) -> Column:
        problems = [*self._lacking(), *self._without_effect(), *self._of_card()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _lacking(self) -> Iterator[str]:
        missing = NEEDED_WITH.get(self.convert, frozenset()) - set(self.with_)
        if missing:
            yield f"{self.convert}: `with` lacks {', '.join(sorted(missing))}"
        if not self.source_field and not self.gather:
            yield "neither `from` nor `gather`"
        for needed, given in (("choice", self.choices), ("lookup", self.lookup)):
            if self.convert == needed and not given:
                yield f"{needed}: none are given"
        if self.convert == "entity" and not self.entity:
            yield "entity: which?"
        minutes = self.with_.get("minutes", "0")
        if not (minutes.isascii() and minutes.isdigit()):
            yield "minutes must be a whole number"

    def _without_effect(self) -> Iterator[str]:
        known = NEEDED_WITH.get(self.convert, frozenset()) | MAY_WITH.get(self.convert, frozenset())
        if unknown := set(self.with_) - known:
            yield f"{self.convert}: `with` knows no {', '.join(sorted(unknown))}"
        for converter, given in (
            ("choice", self.choices),
            ("lookup", self.lookup),
            ("entity", self.entity),
        ):
            if given and self.convert != converter:
                yield (
                    f"`{converter if given != self.choices else 'choices'}` is for convert ="
                    f' "{converter}", and this is "{self.convert}"'
                )
        if self.may_miss and self.convert != "entity":
            yield '`may_miss` is for convert = "entity"'

    def _of_card(self) -> Iterator[str]:
        known = CARDS.get(self.convert)
        if bool(known) != bool(self.gather):
            yield "`gather` belongs to contact_card and address_card, and they to it"
        elif known is None and (self.keys or self.replaces):
            yield "`keys` and `replaces` are for cards"
        if known is None or not self.gather:
            return
        if not self.keys:
            yield "gather: `keys` says which JSON keys FileMaker decides"
        for part, keys in known.items():
            if part not in self.keys and (alone := [k for k in keys if k in self.keys]):
                yield f"keys: {', '.join(alone)} without {part}, which holds the same"
        every = {key for keys in known.values() for key in keys}
        if never := [key for key in self.keys if key not in every]:
            yield f"keys: {self.convert} gives no {', '.join(never)}: it would go from every card"

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Part of a card -> its JSON keys, the list of its entries first.

        A key of ``replaces`` that no part is known for is an older one of the first part.
        """
        known = CARDS.get(self.convert, {})
        fed = [part for part in known if part in self.keys]
        of = {key: part for part, keys in known.items() for key in keys}
        used = dict.fromkeys((*fed, *self.keys, *self.replaces))
        return {
            part: tuple(
                k for k in (part, *(u for u in used if u != part)) if of.get(k, fed[0]) == part
            )
            for part in fed
        }

    @cached_property  # asked for every value of every record
    def fields_used(self) -> tuple[str, ...]:
        """The fields of the entity's own source that this column reads."""
        if self.gather:
            return ()
        given = [self.source_field, *(step.source_field for step in self.lookup)]
        given += [name for key, name in self.with_.items() if key not in NOT_FIELDS]
        given += re.findall(r"{([^}]+)}", self.with_.get("text", ""))
        return tuple(dict.fromkeys(given))
