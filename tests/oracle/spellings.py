"""Odd texts, names, times, days and phone numbers, for random edits."""

from __future__ import annotations

import unicodedata
from random import Random

_BLANKS = ("", " ", "  Padded  ", "trail  ", "a\tb")
_CODES = (
    "=SUM(A1)",
    "-1",
    "0",
    "00123",
    "1e5",
    "NULL",
    "\\N",
    "\\.",
    "?",
    "#REF!",
    "-",
    ".",
    "false",
    "0012345678901234567",
    "12345678901234567890",
    "7.0",
    "'quoted",
    "_x000D_",
    "a_x0041_b",
)
_LETTERS = ("O'Brien", "Zoe\u0308", "Zoë", "Straße", "STRASSE", "ANN", "ann", "Anne-Marie")
_LETTERS += ("\u212b", "A\u030a", "Å", "\u01f0", "\u0130", "ﬁ", "\u1e9e", "\u1100\u1161", "\uac00")
_LETTERS += ("محمد", "\u200fדוד", "שלום 12", "٣٤", "𝄞", "🏳\ufe0f\u200d🌈")
_LETTERS += ("q\u0323\u0307", "q\u0307\u0323")
_UNSEEN = (
    "\u200b",
    "\ufeffAnn",
    "A\u00a0B",
    "👩\u200d⚕\ufe0f",
    "\u2028line",
    "cut \x00\x0cend",
    "\ud83d",
    "a\x7fb",
    "a\x85b",
    "\x1c",
    "par\u2029end",
    "\ufffe",
    "\u3164",
    "\x0b\x0b",
)
_LINES = ("one \r two \r ", "\tone\ttwo\t", "\r\rone", "one\n\rtwo")
_LINES += ("one\rtwo", "one\rtwo\r\rthree\r", "one\x0btwo", "one\r\ntwo", "one\ntwo", "\r")
_MARKUP = ("<b>&amp;</b>.", '{"a":1}', "\"q\", 'r'; s")

NAMES = (*_BLANKS, *_CODES, *_LETTERS, *_UNSEEN, "one\rtwo", "x" * 101, "x" * 100, "é" * 100)
TEXTS = (*_BLANKS, *_CODES, *_LETTERS, *_UNSEEN, *_LINES, *_MARKUP, "x" * 5000, "ü" * 32_000)
# What PostgreSQL takes of them.
STORED = tuple(t for t in TEXTS if "\x00" not in t and "\ud83d" not in t)
TIMES = ("", "00:00:00", "23:59:59", "24:00:00", "25:30:00", "47:59:59", "48:00:00", "930:00:00")
TIMES += ("01:59:59", "02:00:00", "02:30:00", "03:00:00", "09:15:30.5")
# Sydney's clocks change on the first Sundays of April and October.
DAYS = ("", "1900-01-01", "2024-02-29", "2024-04-07", "2024-10-06", "2025-04-06", "2025-10-05")
DAYS += ("2026-11-29", "2026-12-01", "2099-12-31", "1890-01-01", "1895-01-31", "1942-01-01")
DAYS += ("1889-12-31", "1899-12-31", "1900-02-28", "1900-03-01", "2199-12-31", "2200-01-01")
DAYS += ("0202-01-01", "9999-12-31", "1582-10-10")
STAMPS = ("", "2020-01-01 00:00:00", "2024-04-07 02:30:00", "2024-10-06 02:30:00")
STAMPS += ("1895-01-31 23:59:59", "1890-01-01 00:00:00", "2199-12-31 23:59:59")
STAMPS += (
    "1850-01-01 10:00:00",
    "2025-06-30 09:00:00.25",
    "2025-06-30 12:00:00",
    "2025-06-30 00:30:00",
)


def phone(random: Random, value: str) -> str:
    """A phone number as somebody else would have written it."""
    number = "".join(c for c in value if c.isdigit())
    if not number:
        return value
    start, middle, end, rest = number[:4], number[4:7], number[7:], number[1:]
    groups = (f"{start} {middle} {end}", f"{start}-{middle}-{end}", f"({start[:2]}) {rest}")
    abroad = (f"+61 {rest}", f"+61{rest}", f"+61 (0) {rest}", f"+61-{rest[:3]}-{rest[3:]}")
    abroad += (f"0061{rest}", f"0011 61 {rest}", f"61 {rest}")
    beside = (f" {value} ", f"{value} (work)", f"{value} mum", f"{value}.", f"{value}\r")
    unseen = (f"\u200e{value}\u200e", value.replace(" ", "\u00a0"))
    short = (rest if number.startswith("04") else number,)
    return random.choice((number, *groups, *abroad, *beside, *unseen, *short))


def text(random: Random, value: str) -> str:
    """A text that says the same, or nearly."""
    blanks = (f"{value} ", f" {value}", value.replace(" ", "  "), value.replace(" ", "\u00a0"))
    ends = (f"{value}\r", value.replace("\r", "\r\n"), value.replace("\r", "\n"), f"{value}\rmore")
    return random.choice((*blanks, *ends, value.upper(), decomposed(value)))


def decomposed(value: str) -> str:
    """The same letters with their accents apart."""
    return unicodedata.normalize("NFD", value)
