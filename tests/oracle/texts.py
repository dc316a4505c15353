"""Texts of FileMaker: what is left of one, as an id, as a name, as a phone number."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import cache
from typing import Any

UNSEEN = frozenset(map(chr, (0xAD, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F))))
UNSEEN |= frozenset(map(chr, (*range(0x2060, 0x2065), *range(0x2066, 0x206A), 0x3164)))
_KEPT, _REFUSED = "\t\n\r\x0b\x0c", "\ufffe\uffff"  # of controls; by XML
_UUID = re.compile(r"\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?", re.I)


def clean(value: Any) -> str:
    """A value as text, without control characters; "" if nobody could see anything of it."""
    if value is None:
        return ""
    if isinstance(value, float):
        is_whole = value == int(value) and abs(value) < 1e15
        return str(int(value)) if is_whole else format(Decimal(repr(value)), "f")
    if not isinstance(value, str):
        return str(int(value))
    if value.isascii() and value.isprintable():  # as nearly all are
        return value if value.strip() else ""
    text = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = "".join(
        "\n" if c == "\x0c" else c
        for c in text
        if c not in _REFUSED and not (c < " " and c not in _KEPT)
    )
    return "" if all(c.isspace() or c in UNSEEN for c in text) else text


def line(value: Any) -> str | None:
    """A text of one line or several, without blanks around it; None if there is none."""
    return _lines(value).strip() or None


def paragraphs(value: Any) -> str | None:
    """A text with the blanks around it, where there is more than blanks."""
    text = _lines(value)
    return text if text.strip() else None


def _lines(value: Any) -> str:
    return re.sub("\r\n|\r|\x0b", "\n", clean(value))


@cache  # each is asked for many times
def ident(value: Any) -> str:
    """An id as it compares: 12.0 as 12, letters of any case as one."""
    text = clean(value).strip().casefold()
    whole = re.fullmatch(r"([+-]?\d+)\.0+", text)
    return whole[1] if whole else text


def is_uuid(text: str) -> bool:
    """Whether it is a UUID, in any of its spellings."""
    return _UUID.fullmatch(text.strip()) is not None


def fold(value: Any) -> str:
    """A name as it compares."""
    composed = unicodedata.normalize("NFC", str(value)).casefold()
    return fold_blanks(composed)


def fold_blanks(value: Any) -> str:
    """A text as it compares where only blanks and the form of accents may differ."""
    return " ".join(unicodedata.normalize("NFC", str(value or "")).split())


def digits(text: str) -> str:
    """Its digits, as ASCII."""
    return re.sub(r"\D", "", unicodedata.normalize("NFKC", text))


def email(value: Any) -> str:
    """An e-mail as it compares: what nobody sees does not count."""
    return fold("".join(c for c in str(value) if c not in UNSEEN) or value)


def phone(value: Any) -> str:
    """A phone number as it compares: +61 4, 0061 4, 04 and 4 are one of Australia."""
    text = "".join(c for c in unicodedata.normalize("NFKC", str(value)) if c not in UNSEEN).strip()
    text = re.sub(r"\.0$", "", text)
    if text.startswith(("+", "00")):
        text = text.replace("(0)", "")
    number = digits(text)
    if number.startswith("0011") and len(number) > 10:
        number, text = number[4:], "+"
    if text.lstrip("( ").startswith("+"):
        return "+61" + number[2:].lstrip("0") if number.startswith("61") else "+" + number
    if number.startswith("0061"):
        return "+61" + number[4:].lstrip("0")
    if number.startswith("61") and len(number) == 11:
        return "+" + number
    if number.startswith("0") and len(number) == 10:
        return "+61" + number[1:]
    if len(number) == 9 and number.startswith("4"):
        return "+61" + number
    return number or text


def phones_differ(one: str, other: str) -> bool:
    """Whether two spellings are of two numbers; by their last digits where one is incomplete."""
    complete = re.compile(r"\+61\d{9}|\+(?!61)\d{6,15}")
    first, second = phone(one), phone(other)
    if complete.fullmatch(first) and complete.fullmatch(second):
        return first != second
    return (digits(one)[-8:] or fold(one)) != (digits(other)[-8:] or fold(other))
