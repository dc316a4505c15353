"""The converters that a mapping can name, each declared once, with what it needs.

All code that has to know something of a converter reads its declaration: the checks of a mapping,
the reading of fields, the conversion, and the comparison with the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

Detail = Mapping[str, str]  # one contact-detail record: the names of `with` -> text
Taken = Literal["choices", "lookup", "entity"]
TAKEN: tuple[Taken, ...] = get_args(Taken)


class ConversionError(Exception):
    """A value does not fit its column. The text is the reason; it never holds the value."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A value, the reasons why parts of FileMaker's text did not fit, and what was derived."""

    value: Any
    misfits: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


class Given(NamedTuple):
    """The arguments of a converter for one column of one record.

    ``value`` is the text of the field ``from``; ``named`` is the mapping's ``with``, which names
    fields of the record, unless the converter declares otherwise. ``details`` are the records that
    a card gathers. It is not a dataclass, for speed: one is made for every value of every record.
    """

    zone: ZoneInfo
    as_of: datetime
    value: str = ""
    record: Mapping[str, str] = {}
    named: Mapping[str, str] = {}
    choices: Mapping[str, tuple[str, ...]] = {}
    details: tuple[Detail, ...] = ()

    def beside(self, name: str) -> str:
        """The text of the field that ``with`` calls ``name``; "" if it names none."""
        return self.record[self.named[name]] if name in self.named else ""


@dataclass(frozen=True, slots=True)
class Converter:
    """One converter: what a column must give it, what it gives, and its function.

    ``needs`` and ``may`` are the required and the optional names of ``with``. They name fields of
    the record, except those in ``numbers`` and in ``templates`` (texts with fields in braces).
    ``takes`` is a further part of the column's mapping. ``parts`` maps each part of a card to the
    JSON keys that hold it, including those of older shapes.
    """

    name: str
    make: Callable[[Given], Any]
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    takes: Taken | None = None
    keeps_text: bool = False  # dates and times stay texts
    is_id: bool = False  # the field holds an id
    is_json: bool = False  # gives a list or a dict
    is_instant: bool = False  # gives an instant
    is_date: bool = False  # gives a date
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # What counts if the column cannot hold its value, for a reason: made of other fields.
    instead: Callable[[Given, str], Partial] | None = None
    entry: Callable[[Detail], object] | None = None  # of a card: what one detail gives, or None
    # Of a card: the reason of a misfit -> the part that it is missing in.
    misfits_in: Mapping[str, str] = field(default_factory=dict)

    @property
    def knows(self) -> frozenset[str]:
        """The names that ``with`` may have."""
        return frozenset({*self.needs, *self.may})

    @property
    def is_plain(self) -> bool:
        """Whether it needs nothing but the text of one field."""
        return not (self.knows or self.takes or self.parts)

    def fields(self, named: Mapping[str, str]) -> Iterator[str]:
        """The fields of the record that a column's ``with`` names."""
        for name, given in named.items():
            if name in self.templates:
                yield from fields_in(given)
            elif name not in self.numbers:
                yield given


CONVERTERS: dict[str, Converter] = {}


def converter(
    name: str, **declared: Any
) -> Callable[[Callable[[Given], Any]], Callable[[Given], Any]]:
    """Declare the function as the converter that a mapping calls ``name``; see ``Converter``."""

    def declare(make: Callable[[Given], Any]) -> Callable[[Given], Any]:
        if name in CONVERTERS:
            raise ValueError(f"two converters are called {name}")
        CONVERTERS[name] = Converter(name, make, **declared)
        return make

    return declare


def of(name: str) -> Converter:
    """The converter of this name; a loaded mapping has only known names."""
    return CONVERTERS[name]


def cards() -> tuple[str, ...]:
    """The converters that make a card from gathered records."""
    return tuple(name for name, declared in CONVERTERS.items() if declared.parts)


def of_instants() -> tuple[str, ...]:
    """The converters that give an instant."""
    return tuple(name for name, declared in CONVERTERS.items() if declared.is_instant)


def taking(part: Taken) -> str:
    """The converters that take this part of a column."""
    return " or ".join(f'"{name}"' for name, c in CONVERTERS.items() if c.takes == part)


def fields_in(template: str) -> list[str]:
    """The fields in braces in ``template``."""
    return re.findall(r"{([^}]+)}", template)
