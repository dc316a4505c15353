"""The phones, e-mail addresses and addresses of a patient, on both sides."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from oracle.expected import Expected
from oracle.seen import CARDS, ENTITIES, Row
from oracle.texts import UNSEEN, clean, digits, email, fold, ident, line, phone

SOURCE = "contact_details"
_ELSE = ENTITIES["patients"]["columns"][CARDS[0]]["with"]["else"]  # where `ph` is empty
_PARTS = ("address 1", "address 2", "suburb", "state", "post code")
_LIST, _FLAT = ("line1", "line2"), ("street", "street2")
_PLACE = ("suburb", "state", "postcode")
_KINDS = {"phone": "phones", "mobile": "phones", "email": "emails", "address": "addresses"}
_COLUMN = {"phones": CARDS[0], "emails": CARDS[0], "addresses": CARDS[1]}
_OURS = {
    CARDS[0]: {"phones", "emails", "email", "phone", "mobile"},
    CARDS[1]: {"addresses", "street", "street2", "type", *_PLACE},
}
# What Nexus repeats, or what every address has: no value of its own.
_REPEATED = {"full_address", "country", ("type", "mobile"), ("type", "phone")}

Address = tuple[str, ...]


@dataclass(slots=True)
class Card:
    """What can be reached by: as it compares, each with how often it is there."""

    phones: Counter[str] = field(default_factory=Counter)
    emails: Counter[str] = field(default_factory=Counter)
    addresses: Counter[Address] = field(default_factory=Counter)


def of_filemaker(expected: Expected) -> dict[str, Card]:
    """FileMaker id of a patient -> what their records of contact details hold."""
    cards: dict[str, Card] = defaultdict(Card)
    for record in expected.seen.records(SOURCE):
        for part, value in entries(record):
            getattr(cards[ident(record.get("id.key", ""))], part)[value] += 1
    return cards


def entries(record: Row) -> Iterator[tuple[str, Any]]:
    """The parts of a card that one record fills: by its kind; where it has none, by its value."""
    kind = re.sub(r"[^a-z]", "", clean(record.get("type", "")).casefold())
    value, address = line(record.get("ph", "")) or line(record.get(_ELSE, "")), _address(record)
    part = _KINDS.get(kind, "emails" if value and "@" in value else "phones")
    if value and part == "phones":
        yield part, phone(value)
    if value and part == "emails" and "@" in value:
        yield part, email(value)
    is_of_address = part == "addresses" or not kind or (kind not in _KINDS and not value)
    if any(address) and is_of_address:
        yield "addresses", address


def _address(record: Row) -> Address:
    *parts, postcode = (fold(clean(record.get(name, ""))) for name in _PARTS)
    return (*parts, _postcode(re.sub(r"\.0$", "", postcode)))


def _postcode(text: str) -> str:
    return text.zfill(4) if text.isdigit() else text


def of_nexus(row: Row) -> Card:
    """What a patient's row holds, in every shape that the application reads."""
    card, contact, place = Card(), row[CARDS[0]], row[CARDS[1]]
    if isinstance(contact, dict):
        listed = [_value(p, "number", "phone") for p in contact.get("phones") or ()]
        listed += [v for name in ("phone", "mobile") for v in _texts(contact.get(name))]
        card.phones.update(phone(v) for v in listed if str(v).strip())
        listed = [_value(e, "address") for e in contact.get("emails") or ()]
        card.emails.update(email(v) for v in listed if str(v).strip())
        card.emails |= Counter({email(v) for v in _texts(contact.get("email")) if str(v).strip()})
    if isinstance(place, dict):
        for address in place.get("addresses") or ():
            card.addresses[_place(address, _LIST)] += 1
        if not place.get("addresses") and any(flat := _place(place, _FLAT)):
            card.addresses[flat] += 1
    return card


def _value(entry: Any, *names: str) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    return next((entry[name] for name in names if entry.get(name)), "")


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [v.get("value", "") if isinstance(v, dict) else v for v in value.values()]
    return [value] if isinstance(value, str) else []


def _place(entry: Mapping[str, Any], lines: tuple[str, str]) -> Address:
    *parts, postcode = (fold(str(entry.get(name) or "")) for name in (*lines, *_PLACE))
    return (*parts, _postcode(postcode))


def problems(expected: Expected) -> Iterator[str]:
    """What is wrong with the cards: lost, twice, of another patient, or gone and not listed."""
    before, after = (
        nexus.by_id("patients") for nexus in (expected.seen.before, expected.seen.after)
    )
    of_records = of_filemaker(expected)
    listed = {(d["nexus_id"], d["column"].split(" ")[0]) for d in expected.seen.differences}
    columns = expected.seen.entities["patients"]["columns"]
    for name, row_id in expected.ids["patients"].items():
        if row_id not in after:
            continue
        wanted, has = of_records.get(name, Card()), of_nexus(after[row_id])
        had = of_nexus(before[row_id]) if row_id in before else Card()
        for part, column in _COLUMN.items():
            want, now, was = (getattr(card, part) for card in (wanted, has, had))
            right = want or (Counter() if columns[column].get("when_empty") == "clear" else was)
            nexus_is_right = expected.nexus_is_right("patients", f"{column}.{part}", column)
            if want and was and want.keys() != was.keys() and nexus_is_right:
                continue
            if right.keys() != now.keys():
                yield f"{row_id}: {part} are {set(now)}, and must be {set(right)}"
            if now.total() > max(len(now), want.total(), was.total()):
                yield f"{row_id}: {part} are there twice: {now}"
            gone = {v for v in was if v not in now and not any(_is_part(v, n) for n in now)}
            if gone and (row_id, f"{column}.{part}") not in listed:
                yield f"{row_id}: {part} {gone} are gone, and in no list"
        if row_id in before:
            yield from _own_keys(before[row_id], after[row_id])
    yield from _lost(expected)


def _is_part(was: Any, now: Any) -> bool:
    """Whether an address says no more than another."""
    return isinstance(was, tuple) and all(a in ("", b) for a, b in zip(was, now, strict=True))


def _own_keys(before: Row, after: Row) -> Iterator[str]:
    """Keys that no field feeds stay."""
    for column, ours in _OURS.items():
        was = before[column] if isinstance(before[column], dict) else {}
        now = after[column] if isinstance(after[column], dict) else {}
        for key in was.keys() - ours:
            if now.get(key) != was[key]:
                yield f"{before['id']}: {column}.{key} was {was[key]}, and is {now.get(key)}"


def _lost(expected: Expected) -> Iterator[str]:
    """Every value of a patient's JSON columns is there afterwards, or is listed as gone."""
    after = expected.seen.after.by_id("patients")
    texts: dict[str, str] = defaultdict(str)
    for difference in expected.seen.differences:
        texts[difference["nexus_id"]] += f"\n{difference['nexus']}"
    for row_id, row in expected.seen.before.by_id("patients").items():
        text = fold(texts[row_id])
        for column in (*CARDS, "filemaker_metadata") if row_id in after else ():
            now = {_token(value) for _, value in _leaves(after[row_id][column])}
            for key, value in _leaves(row[column]):
                token = _token(value)
                if key in _REPEATED or (key, value) in _REPEATED or token in now:
                    continue
                if len(token) > 3 and any(token in other for other in now):
                    continue
                if fold(value) not in text and not (
                    token.startswith("#") and token[1:] in digits(text)
                ):
                    yield f"{row_id}: {column}, {key}: {value} is gone, and in no list"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    elif value is not None and value != "" and not isinstance(value, bool):
        yield key, value


def _token(value: Any) -> str:
    """A value as it compares: a phone number by its last digits."""
    text = "".join(c for c in unicodedata.normalize("NFC", str(value)) if c not in UNSEEN)
    number = digits(text)
    return f"#{number[-8:]}" if len(number) >= 8 and "@" not in text else fold(text)
