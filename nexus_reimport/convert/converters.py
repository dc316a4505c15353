"""The declarations of all converters: the name, what each needs, and how it makes its value."""

from __future__ import annotations

import re
from typing import Any

from nexus_reimport.convert import cards, columns, moments, texts
from nexus_reimport.convert.registry import Given, Partial, converter, fields_in

_LEFT_OUT = "a sentence is left out, because another field of it is empty"


@converter("text", keeps_text=True)
def _text(given: Given) -> str | None:
    return texts.text(given.value)


@converter("paragraphs", keeps_text=True)
def _paragraphs(given: Given) -> str | None:
    return texts.paragraphs(given.value)


@converter("uuid", is_id=True)
def _uuid(given: Given) -> str | None:
    return columns.as_uuid(given.value)


@converter("whole")
def _whole(given: Given) -> str | None:
    return columns.whole(given.value)


@converter("date", is_date=True)
def _date(given: Given) -> str | None:
    return moments.iso_date(given.value)


@converter("birth_date", is_date=True)
def _birth_date(given: Given) -> str | None:
    return moments.birth_date(given.value, given.as_of, given.zone)


@converter("timestamp", is_instant=True)
def _timestamp(given: Given) -> Partial:
    return moments.timestamp(given.value, given.zone)


@converter("moment", needs=("time",), is_instant=True)
def _moment(given: Given) -> Partial:
    return moments.moment(given.value, given.beside("time"), given.zone)


@converter(
    "end_moment",
    needs=("time", "start_date", "start_time", "minutes"),
    numbers=("minutes",),
    is_instant=True,
)
def _end_moment(given: Given) -> Partial:
    return moments.end_moment(
        (given.value, given.beside("time")),
        (given.beside("start_date"), given.beside("start_time")),
        int(given.named["minutes"]),
        given.zone,
    )


@converter("dated", needs=("timestamp",), is_instant=True)
def _dated(given: Given) -> Partial:
    return moments.dated(given.value, given.beside("timestamp"), given.zone)


@converter("choice", takes="choices", keeps_text=True)
def _choice(given: Given) -> str | None:
    return texts.choice(given.value, given.choices)


def _other_number(given: Given, reason: str) -> Partial:
    """The number in the field ``else``, if it is the one, or one of those, in the first field.

    The first field's text does not fit its column, for ``reason``. What neither field stores is
    told: the rest of the first one, or the other number.
    """
    first, other = texts.text(given.value), texts.text(given.beside("else"))
    digits, others = (re.sub(r"\D", "", text or "") for text in (first, other))
    ending = cards.ending(other or "")
    if not first or not other or len(ending) != cards.LOCAL or ending not in digits:
        is_lost = first and other and (not others or others not in digits)
        return Partial(None, misfits=(reason, *((cards.OTHER_NUMBER,) if is_lost else ())))
    if cards.may_be_several(first) or not cards.are_one(first, other):
        return Partial(other, misfits=(f"{reason}: {cards.ONE_OF_SEVERAL}",))
    return Partial(other, derived=(f"{reason}: {cards.SAME_NUMBER}",))


@converter("phone", may=("else",), instead=_other_number)
def _phone(given: Given) -> Partial:
    """The number as written; where there is none, the one in the field ``else``."""
    number, other = texts.text(given.value), texts.text(given.beside("else"))
    differ = number and other and not cards.are_one(number, other)
    return Partial(number or other, derived=(cards.TWO_NUMBERS,) if differ else ())


@converter("entity", takes="entity", is_id=True)
@converter("lookup", takes="lookup")
def _among_rows(given: Given) -> Any:
    """Both look a row up in Nexus, so ``planning.feed`` does it: only it has the rows."""
    raise NotImplementedError


@converter(
    "contact_card",
    needs=("kind", "value"),
    may=("label", "default_mobile", "default_email", "else"),
    parts={"phones": ("phones", "phone", "mobile"), "emails": ("emails", "email")},
    entry=cards.contact_entry,
    misfits_in={cards.NO_EMAIL: "emails"},
    is_json=True,
)
def _contact_card(given: Given) -> Partial:
    return cards.contact_card(given.details, in_australia=_in_australia(given))


@converter(
    "address_card",
    needs=("kind", "line1"),
    may=("label", "line2", "suburb", "state", "postcode", "country", "contact"),
    parts={"addresses": ("addresses", "street", "street2", "suburb", "state", "postcode")},
    entry=cards.address_entry,
    is_json=True,
)
def _address_card(given: Given) -> Partial:
    return cards.address_card(given.details, in_australia=_in_australia(given))


def _in_australia(given: Given) -> bool:
    return given.zone.key.startswith("Australia/")


@converter("html_pages", needs=("opening",), keeps_text=True, is_json=True)
def _html_pages(given: Given) -> Partial:
    pages = texts.html_pages(given.value, given.beside("opening"))
    return Partial(pages, derived=() if texts.text(given.value) or not pages else (texts.NO_BODY,))


@converter("sentence", needs=("text",), templates=("text",), keeps_text=True)
def _sentence(given: Given) -> Partial:
    """The text of ``with`` with fields filled in; a sentence with an empty field is left out.

    What its other fields hold is told then, unless another sentence says it.
    """
    values = {field: given.record[field].strip() for field in fields_in(given.named["text"])}
    parts = re.split(r"(?<=\.)\s+", given.named["text"])
    kept = " ".join(part for part in parts if all(values[field] for field in fields_in(part)))
    is_lost = any(values[field] for field in values.keys() - {*fields_in(kept)})
    text = texts.text(re.sub(r"{([^}]+)}", lambda match: values[match[1]], kept))
    reasons = (_LEFT_OUT,) if is_lost else ()
    return Partial(text, derived=reasons) if text else Partial(None, misfits=reasons)
