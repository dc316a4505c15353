"""FileMaker's text -> values: one function per type, and the converters that a mapping can name.

Each function takes text as the snapshot holds it (``""`` is empty; dates and times in ISO form,
wall clock, no zone). It gives the text that PostgreSQL itself would print for the value, None for
empty, or, for JSON columns, plain lists and dicts. A value that does not fit raises
``ConversionError`` with a reason, never with the value.

If a value had to be derived, or only a part of it fits, the converter gives ``Partial``: the value,
and the reasons in words.
"""

from nexus_reimport.convert import converters, registry
from nexus_reimport.convert.cards import (
    HOME,
    OF_AN_ADDRESS,
    address_card,
    at_the_top,
    contact_card,
    country,
    e164,
)
from nexus_reimport.convert.columns import (
    INSTANT,
    as_uuid,
    derived_for_type,
    for_type,
    is_foretold,
    is_text,
    number,
    whole,
)
from nexus_reimport.convert.moments import (
    as_text,
    birth_date,
    chronological,
    clock,
    dated,
    duration,
    end_moment,
    is_before,
    is_over,
    iso_date,
    moment,
    on_the_clock,
    stamp,
    timestamp,
)
from nexus_reimport.convert.registry import ConversionError, Detail, Partial
from nexus_reimport.convert.texts import (
    choice,
    flag,
    html_pages,
    identifier,
    identifiers,
    paragraphs,
    text,
)

__all__ = [
    "HOME",
    "INSTANT",
    "OF_AN_ADDRESS",
    "ConversionError",
    "Detail",
    "Partial",
    "address_card",
    "as_text",
    "as_uuid",
    "at_the_top",
    "birth_date",
    "choice",
    "chronological",
    "clock",
    "contact_card",
    "converters",
    "country",
    "dated",
    "derived_for_type",
    "duration",
    "e164",
    "end_moment",
    "flag",
    "for_type",
    "html_pages",
    "identifier",
    "identifiers",
    "is_before",
    "is_foretold",
    "is_over",
    "is_text",
    "iso_date",
    "moment",
    "number",
    "on_the_clock",
    "paragraphs",
    "registry",
    "stamp",
    "text",
    "timestamp",
    "whole",
]
