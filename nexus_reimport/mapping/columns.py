"""What feeds one column of Nexus: fields of FileMaker, and how they are converted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, model_validator

from nexus_reimport import wording
from nexus_reimport.convert import cards, registry, texts
from nexus_reimport.settings import Different, Strict


def _known(name: object) -> str:
    """``name``, if it is a converter's; the error is worded like pydantic's for a choice."""
    names = tuple(registry.CONVERTERS)
    if name in names:
        return str(name)
    *others, last = (f"'{known}'" for known in names)
    meant = wording.meant(str(name), names)
    raise ValueError(f"Input should be {', '.join(others)} or {last}{meant}")


ConverterName = Annotated[str, PlainValidator(_known)]


class Lookup(Strict):
    """One way to find a row of a protected table; ``through`` reads another source first."""

    source_field: str = Field(alias="from")
    table: str
    match: str
    through: str = ""
    take: str = ""


class ColumnSpec(Strict):
    """What feeds one column, or one key of a JSON column (``column.key``).

    A value that is before that of the column ``not_before`` does not fit. ``misfits_at_most`` is
    the part of FileMaker's values that may be misfits; if it is not given, 1% of them or five,
    whichever is more, and none of a link that must find its row. ``kinds`` of a card are the
    words that FileMaker has for a phone, a mobile, an e-mail, an address.
    """

    source_field: str = Field(alias="from", default="")
    convert: ConverterName = "text"
    with_: dict[str, str] = Field(alias="with", default={})
    choices: dict[str, tuple[str, ...]] = {}
    lookup: tuple[Lookup, ...] = ()
    entity: str = ""
    may_miss: bool = False
    gather: str = ""
    keys: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    kinds: dict[str, tuple[str, ...]] = {}
    folded: bool = False
    not_before: str = ""
    misfits_at_most: float | None = Field(default=None, ge=0, le=1)
    # FileMaker has no clinician and no type of an appointment: about 8,334 exist only in Nexus.
    when_empty: Literal["keep", "clear"] = "keep"
    when_different: Different | None = None

    @model_validator(mode="after")
    def _complete(self) -> ColumnSpec:
        problems = [
            *self._lacking(),
            *self._without_effect(),
            *self._ambiguous(),
            *self._of_card(),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def must_find(self) -> bool:
        """Whether it is a link that may not stay empty: each is to find its row."""
        return bool(self.entity) and not self.may_miss

    @property
    def converter(self) -> registry.Converter:
        """The declaration of its converter."""
        return registry.of(self.convert)

    def _lacking(self) -> Iterator[str]:
        converter = self.converter
        missing = set(converter.needs) - set(self.with_)
        if missing:
            yield f"{self.convert}: `with` lacks {', '.join(sorted(missing))}"
        if not self.source_field and not self.gather:
            yield "`from` or `gather` is missing"
        if converter.takes and not getattr(self, converter.takes):
            yield f"{self.convert}: `{converter.takes}` is missing"
        for name in converter.numbers:
            number = self.with_.get(name, "0")
            if not (number.isascii() and number.isdigit()):
                yield f"{name} must be a whole number"

    def _without_effect(self) -> Iterator[str]:
        converter = self.converter
        if unknown := set(self.with_) - converter.knows:
            more = ", ".join(n + wording.meant(n, converter.knows) for n in sorted(unknown))
            yield f"{self.convert}: `with` does not know {more}"
        for part in registry.TAKEN:
            if getattr(self, part) and converter.takes != part:
                yield (
                    f"`{part}` is for convert = {registry.taking(part)}, but this is"
                    f' "{self.convert}"'
                )
        if self.may_miss and converter.takes != "entity":
            yield f"`may_miss` is for convert = {registry.taking('entity')}"

    def _ambiguous(self) -> Iterator[str]:
        """The words that two choices, or two kinds, claim: the first would have them in silence."""
        for part, several in (("choices", self.choices), ("kinds", self.kinds)):
            means: dict[str, str] = {}
            for chosen, spellings in several.items():
                for word in (chosen, *spellings):
                    if means.setdefault(texts.spelling(word), chosen) != chosen:
                        yield f"{part}: {word} is a spelling of two of them"

    def _of_card(self) -> Iterator[str]:
        known = self.converter.parts
        if bool(known) != bool(self.gather):
            both = " and ".join(registry.cards())
            yield f"`gather` and the converters {both} need each other"
        elif not known and (self.keys or self.replaces or self.kinds):
            yield "`keys`, `replaces` and `kinds` are only for cards"
        if not known or not self.gather:
            return
        if not self.keys:
            yield "gather: `keys` is missing: the JSON keys that FileMaker decides"
        for part, keys in known.items():
            if part not in self.keys and (named := [k for k in keys if k in self.keys]):
                yield f"keys: {', '.join(named)} without {part}, which holds the same"
        every = {key for keys in known.values() for key in keys}
        if unknown := [key for key in self.keys if key not in every]:
            listed = ", ".join(unknown)
            yield f"keys: {self.convert} does not make {listed}, so every card would lose it"
        for kind in self.kinds.keys() - cards.KINDS:
            yield f"kinds: {kind} is none of {', '.join(sorted(cards.KINDS))}"

    def detail(self, record: Mapping[str, str]) -> registry.Detail:
        """A record that the card gathers, by the names of ``with``; one that names no field is "".

        Its kind is the card's own word, where ``kinds`` has FileMaker's.
        """
        detail = dict.fromkeys(self.converter.knows, "")
        detail |= {name: record[field] for name, field in self.with_.items()}
        if self.kinds:
            detail["kind"] = self._kind_of.get(texts.spelling(detail["kind"]), detail["kind"])
        return detail

    @cached_property
    def _kind_of(self) -> dict[str, str]:
        """FileMaker's words for each kind, as spellings compare."""
        return {texts.spelling(w): kind for kind, words in self.kinds.items() for w in words}

    @cached_property  # asked for every card
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Part of a card -> its JSON keys, the list of its entries first.

        A key of ``replaces`` that belongs to no part counts as an older key of the first part.
        """
        known = self.converter.parts
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
        given += self.converter.fields(self.with_)
        return tuple(dict.fromkeys(given))
