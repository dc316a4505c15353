"""Texts, words and flags."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from nexus_reimport.convert.registry import ConversionError
from nexus_reimport.text import is_uuid, name_key

_UUID_LENGTH = 36
_HYPHENS = (8, 13, 18, 23)  # their places in a UUID
_OF_UUIDS = re.compile(r"[0-9a-fA-F-]*")
_TRUE = frozenset({"1", "1.0", "yes", "y", "true", "on"})  # a spreadsheet gives the number 1 as 1.0
_FALSE = frozenset({"", "0", "0.0", "no", "n", "false", "off"})


NO_BODY = "no text: the opening alone"


def text(value: str) -> str | None:
    """``paragraphs`` without outer blanks; None if nothing is left."""
    joined = paragraphs(value)
    return joined.strip() if joined else None


def paragraphs(value: str) -> str | None:
    """Text with FileMaker's paragraph marks (``\\r``, 0x0B) as newlines; blanks stay as they are.

    Characters that PostgreSQL cannot hold were removed before: ``text.clean``.
    """
    # FileMaker ends a paragraph with \r; its exports write 0x0B inside of a field.
    joined = value.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n")
    return joined if joined.strip() else None


def identifier(value: str) -> str:
    """A FileMaker id as it is stored and shown: a UUID in lower case, any other id unchanged.

    FileMaker writes UUIDs in upper case, PostgreSQL in lower case: compared as texts, none of the
    documents once matched. How ids compare is ``text.id_key``. The id is recognised by its shape,
    not parsed, for speed.
    """
    stripped = value.strip()
    if len(stripped) == _UUID_LENGTH and is_uuid(stripped):
        return stripped.lower()
    return stripped


def identifiers(values: Sequence[str]) -> list[str]:
    """``identifier`` of each of ``values``; UUIDs alone, the usual case, in a tenth of the time."""
    joined, hyphens = "".join(values), "-" * len(values)
    are_uuids = (
        set(map(len, values)) <= {_UUID_LENGTH}
        and all(joined[place::_UUID_LENGTH] == hyphens for place in _HYPHENS)
        and joined.count("-") == len(_HYPHENS) * len(values)
        and _OF_UUIDS.fullmatch(joined)
    )
    return list(map(str.lower if are_uuids else identifier, values))


def choice(value: str, choices: Mapping[str, tuple[str, ...]]) -> str | None:
    """The choice that has ``value`` as a spelling, with case, blanks and dots folded."""
    if not value.strip():
        return None
    spelt = spelling(value)
    for chosen, spellings in choices.items():
        if spelt in map(spelling, (chosen, *spellings)):
            return chosen
    raise ConversionError("not one of the choices")


def spelling(word: str) -> str:
    """A word in the form in which spellings compare: FileMaker has "Mr.", Nexus the choice "Mr"."""
    return name_key(word.replace(".", ""))


def flag(value: str) -> bool:
    """Whether a FileMaker 0/1 flag is set."""
    return value.strip().casefold() in _TRUE


def is_flag(value: str) -> bool:
    """Whether a field holds a flag that is set or not: FileMaker lets anything be typed there."""
    return flag(value) or value.strip().casefold() in _FALSE


def html_pages(body: str, opening: str) -> list[str]:
    """A letter's plain text as one page of HTML paragraphs; no page if there is no text."""
    lines = [line for part in (opening, body) for line in (paragraphs(part) or "").split("\n")]
    # FileMaker's text is plain, and Nexus shows a letter's pages as HTML.
    shown = [f"<p>{html.escape(line.strip())}</p>" for line in lines if line.strip()]
    return ["".join(shown)] if shown else []
