"""Contact details: a person's phones, e-mails and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from nexus_reimport.convert.registry import ConversionError, Detail, Partial
from nexus_reimport.convert.texts import flag, is_flag, text
from nexus_reimport.text import LINE_ENDS, name_key, visible, without_point

T = TypeVar("T")
KINDS = frozenset({"phone", "mobile", "email", "address"})
HOME = "australia"  # the country of an address that names none
# At the top level of a card these describe its first address, and are Nexus's own; its `default`
# does not: whichever is the first one is the default.
OF_AN_ADDRESS = frozenset({"type", "label", "country", "full_address"})
TWO_NUMBERS = "two fields hold different numbers: the first is taken"
OTHER_NUMBER = "another number in the other field: it is not taken for the first"
ONE_OF_SEVERAL = "the number that the other field has too is stored, the rest is not"
SAME_NUMBER = "the same number in the other field counts"
NO_EMAIL = "an e-mail without @"
IN_AN_ADDRESS = "a phone or an e-mail in the record of an address"
_NO_FLAG = "a default that is neither yes nor no: taken as no"
_ONLY_A_LABEL = "a label without a phone or an e-mail"
_NO_LINE = "an address that is a label or a country alone"
_POINT = "a postcode with .0, as a spreadsheet writes numbers: taken without it"
_NO_KIND = "a label or a country alone, of unknown kind"
_COUNTRY_OF_A_PHONE = "a country in the record of a phone or an e-mail: it is not taken"
_BESIDE_A_PHONE = "an address in the record of a phone or an e-mail"
_BESIDE_AN_EMAIL = "a phone in the record of an e-mail: it is not taken"
_IN_A_PHONE = "an e-mail in the record of a phone: kept there as it was written"
_OF_UNKNOWN_KIND = "of unknown kind: taken as {}, judged by its value"
_AS = {"phone": "a phone", "email": "an e-mail", "address": "an address"}
# What people write between two numbers, the second of which may be its last digits alone.
_BETWEEN = re.compile(rf"[/,;|&+{LINE_ENDS}]|\b(?:or|and)\b", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d_]+")
_DASHES = r"\-\u2010-\u2015\u2212"  # of every length
_DASH = re.compile(rf"\s[{_DASHES}]\s")
LOCAL = 8  # digits of an Australian number without its area code
_FEWEST, _MOST = 6, 15  # digits of one number: 13 12 34 has six, and E.164 allows fifteen
_FORMAT = re.compile(rf"[\s()./{_DASHES}]")
# Only the usual form: an e-mail of any other is kept as it is written, and told.
_WORD = r"[^@\s.,;:<>()\[\]\"\\/]+"
_EMAIL = re.compile(rf"{_WORD}(\.{_WORD})*@{_WORD}(\.{_WORD})+")


def e164(value: str) -> str | None:
    """A phone number in the form of E.164; None if its form does not allow it.

    These are Australian landline numbers with their area code, and mobile numbers, also if a
    spreadsheet has removed the mobile's leading zero; and numbers with a country code. Service
    numbers (13, 1300) have no E.164 form.

    Source: ITU-T E.164; Australian Communications and Media Authority, "Phone number types".
    """
    digits = _FORMAT.sub("", without_point(visible(value).strip()))
    # Areas begin with 2, 3, 7 or 8, mobiles with 4; the 0 in +61 (0)4 is not dialled from abroad.
    national = re.fullmatch(r"(?:(?:\+|00|0011)?610?|0)([2-478][0-9]{8})", digits)
    if national:
        return f"+61{national[1]}"
    # Joined, two numbers can have the length of one: "+64 21 123 456 / 457".
    if may_be_several(value):
        return None
    if re.fullmatch(r"4[0-9]{8}", digits):
        return f"+61{digits}"
    # At most 15 digits, the country code included; a +61 that got here has a wrong length.
    return digits if re.fullmatch(r"\+(?!61)[1-9][0-9]{7,14}", digits) else None


def are_one(phone: str, other: str) -> bool:
    """Whether both are one number; of one without its area code the rest is compared."""
    of_phone, of_other = e164(phone), e164(other)
    if of_phone and of_other:
        return of_phone == of_other
    return ending(phone) == ending(other)


def ending(phone: str) -> str:
    """What a number has in common with itself in another format, with a country code or without."""
    return re.sub(r"\D", "", phone)[-LOCAL:] or name_key(phone)


def may_be_several(phone: str) -> bool:
    """Whether digits stand on both sides of what stands between numbers, or are too many for one.

    On both sides of any other word they must be a whole number each: 02 5550 1234 ext 12 is one.
    A dash between blanks separates only what is a number before it: 5550 - 1234 is one.
    """
    parts, around_words, around_dashes = (
        [len(re.findall(r"[0-9]", part)) for part in between.split(phone)]
        for between in (_BETWEEN, _WORDS, _DASH)
    )
    return (
        sum(map(bool, parts)) > 1
        or sum(digits >= _FEWEST for digits in around_words) > 1
        or (around_dashes[0] >= LOCAL and any(around_dashes[1:]))
        or sum(parts) > _MOST
    )


def contact_entry(detail: Detail) -> tuple[str, dict[str, str]] | None:
    """The kind and the entry of a contact-detail record; None if it holds no phone or e-mail.

    Shape: email {address, label}; phone or mobile {type, number, phone, label} and, if the number
    has one, e164. Numbers and addresses stay as they were written, paragraph marks as newlines.
    ``number`` and ``phone`` are the same: the application's SMS reads one, its calendar the other.

    Raises:
        ConversionError: an e-mail without ``@``. The field with "Email" in its name is a 0/1 flag:
            352 patients once got the e-mail address "1". Or a value in the record of an address, or
            a label without a value.
    """
    # Phones, mobiles and e-mails are all in one field; the kind says which of them it is.
    other = text(detail.get("else", ""))
    value, label, kind = (
        text(detail["value"]) or other,
        text(detail["label"]) or "",
        _declared(detail),
    )
    if not value:
        # A record of an address has a label too: `address_entry` judges it.
        if label and kind in KINDS - {"address"}:
            raise ConversionError(_ONLY_A_LABEL)
        return None
    if kind not in KINDS:
        kind = "email" if "@" in value else "phone"
    if kind == "address":
        # Left over, or the phone of that place: the layout of an address need not show it.
        raise ConversionError(IN_AN_ADDRESS)
    if kind == "email":
        if "@" not in value:
            raise ConversionError(NO_EMAIL)
        return kind, {"address": value, "label": label}
    entry = {"type": kind, "number": value, "phone": value, "label": label}
    international = e164(value)
    if other and not international and not may_be_several(value) and are_one(value, other):
        international = e164(other)
    return kind, {**entry, "e164": international} if international else entry


def contact_card(details: Iterable[Detail], *, in_australia: bool = True) -> Partial:
    """Phones, e-mails and the default e-mail of one person.

    Of a clinic that is not ``in_australia``, a number without a country code has no E.164 form:
    0401 234 567 of Hamburg or Malmö would be a stranger's mobile in Australia.

    Shape: ``phones`` and ``emails`` are lists of entries (see ``contact_entry``), ``email`` is the
    first address; an empty list is left out. The default entry comes first.
    """
    phones: list[tuple[bool, dict[str, str]]] = []
    emails: list[tuple[bool, dict[str, str]]] = []
    misfits, derived = list[str](), list[str]()
    taken = _taken(details, contact_entry, misfits)
    for detail, (kind, entry) in ((one, both) for one, both in taken if both):
        default = detail["default_email" if kind == "email" else "default_mobile"]
        if not is_flag(default):
            misfits.append(_NO_FLAG)
        # The default sorts first (False before True), and the others keep their order.
        (emails if kind == "email" else phones).append((not flag(default), entry))
        derived += _remarks(detail, kind, entry)
    if not in_australia:
        phones = [(is_later, _abroad(entry)) for is_later, entry in phones]
    card: dict[str, Any] = {}
    if phones:
        card["phones"] = [entry for _, entry in sorted(phones, key=lambda pair: pair[0])]
    if emails:
        card["emails"] = [entry for _, entry in sorted(emails, key=lambda pair: pair[0])]
        card["email"] = card["emails"][0]["address"]
    return Partial(card, tuple(misfits), tuple(derived))


def _remarks(detail: Detail, kind: str, entry: Mapping[str, str]) -> Iterator[str]:
    """What is told of an entry that is taken."""
    other = text(detail.get("else", ""))
    if kind == "email":
        address = entry["address"]
        if not _EMAIL.fullmatch(address) or visible(address) != address:
            yield "an e-mail of unusual form: kept as it was written"
        if other:
            yield _BESIDE_AN_EMAIL
    else:
        if "e164" not in entry and may_be_several(entry["number"]):
            yield "a phone that may be several numbers: kept as it was written"
        if "@" in entry["number"]:
            yield _IN_A_PHONE
        if other and not are_one(entry["number"], other):
            yield TWO_NUMBERS
    if _declared(detail) not in KINDS:
        yield _OF_UNKNOWN_KIND.format(_AS[kind])


def _abroad(entry: dict[str, str]) -> dict[str, str]:
    """A phone's entry, without the E.164 form that only an Australian number would have."""
    says_its_country = visible(entry["number"]).lstrip(" (").startswith(("+", "00"))
    return entry if says_its_country else {k: v for k, v in entry.items() if k != "e164"}


def _taken(
    details: Iterable[Detail], take: Callable[[Detail], T | None], misfits: list[str]
) -> Iterator[tuple[Detail, T | None]]:
    """Each detail with what ``take`` makes of it; what does not fit is added to ``misfits``."""
    for detail in details:
        try:
            entry = take(detail)
        except ConversionError as error:
            # One bad line must not cost a person all other numbers of the card.
            misfits.append(str(error))
        else:
            yield detail, entry


def _declared(detail: Detail) -> str:
    # So that E-mail is email as well.
    return name_key(detail["kind"]).replace("-", "")


def address_entry(detail: Detail, *, in_australia: bool = True) -> Partial | None:
    """The address in a contact-detail record; None if it holds none.

    Of a record of unknown kind ``contact`` says whether it is one of a phone or an e-mail. Of a
    clinic that is not ``in_australia``, a postcode of three digits may be a whole one.

    Raises:
        ConversionError: it is in the record of something else, or only a label or a country.
    """
    declared = _declared(detail)
    is_unknown = declared not in KINDS
    is_of_contact = text(detail.get("contact", "")) is not None
    parts = {
        name: (text(detail[name]) or "")
        for name in ("line1", "line2", "suburb", "state", "postcode", "country")
    }
    if not any(value for name, value in parts.items() if name != "country"):
        # The home country is entered by itself, also in the record of a phone.
        says = text(detail["label"]) or country(parts["country"]) not in ("", HOME)
        if says and declared == "address":
            raise ConversionError(_NO_LINE)
        if says and is_unknown and not is_of_contact:
            raise ConversionError(_NO_KIND)
        return None
    # Without any kind, a record may hold both.
    if declared and declared != "address" and (not is_unknown or is_of_contact):
        raise ConversionError(_BESIDE_A_PHONE)
    derived: tuple[str, ...] = ()
    if declared and is_unknown:
        derived = (_OF_UNKNOWN_KIND.format(_AS["address"]),)
    if (bare := without_point(parts["postcode"])) != parts["postcode"]:
        parts["postcode"] = bare
        derived += (_POINT,)
    # 0200 to 0999 (ACT, NT) lose their zero where a spreadsheet takes them for numbers.
    is_at_home = country(parts["country"]) in ("", HOME)
    if in_australia and is_at_home and re.fullmatch(r"[2-9][0-9]{2}", parts["postcode"]):
        parts["postcode"] = f"0{parts['postcode']}"
        derived += ("a postcode of three digits: its leading zero was restored",)
    shown = [v for v in parts.values() if v]
    entry = {**parts, "label": text(detail["label"]) or "", "full_address": ", ".join(shown)}
    return Partial(entry, derived=derived)


def country(value: str) -> str:
    """A country in the form in which countries compare; ``""`` if there is none."""
    key = name_key(value)
    return HOME if key in ("au", "aus") else key


def at_the_top(address: Mapping[str, Any]) -> dict[str, Any]:
    """What the top level of a card holds of its first address."""
    top = {
        "street": address["line1"],
        "street2": address["line2"],
        **{name: address[name] for name in ("suburb", "state", "postcode")},
    }
    return {name: value for name, value in top.items() if value}


def address_card(details: Iterable[Detail], *, in_australia: bool = True) -> Partial:
    """The addresses of one person; the first one also at the top level, where Nexus reads it."""
    take = partial(address_entry, in_australia=in_australia)
    misfits, derived, listed = list[str](), list[str](), list[dict[str, str]]()
    for detail, entry in _taken(details, take, misfits):
        if entry is not None:
            listed.append(entry.value)
            derived += entry.derived
        elif country(detail["country"]) not in ("", HOME):
            derived.append(_COUNTRY_OF_A_PHONE)
    card = {"addresses": listed, **at_the_top(listed[0])} if listed else {}
    return Partial(card, tuple(misfits), tuple(derived))
