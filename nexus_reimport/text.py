"""How texts compare (names of fields and files, names of people, ids), and what they may hold.

Everything compares in Unicode's composed form, NFC: macOS writes file names decomposed, and by
Unicode's own rule both forms are the same name. NFKC would also make ``x²`` and ``x2`` equal, which
FileMaker and Nexus keep apart. Case is folded in every script.

FileMaker ids compare in one way, for uniqueness and for links: without regard to case, as in
FileMaker's own relationships and its validation "unique value". What is stored and shown stays as
FileMaker wrote it.

Source: Claris FileMaker Pro Help, "Matching values in a relationship"; Unicode Standard Annex 15,
"Normalization forms"; Unicode Standard, 3.13, "Default caseless matching".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

JOINT = "+"  # between the parts of a key of several fields: two join tables have no id
JOINED = "two halves of a character were joined"
HALF = "half a character was replaced"
CONTROL = "a control character was removed"
UNSEEN = "nothing but invisible characters: counts as empty"
# A character that came in two halves is whole afterwards; any other change loses a part of the
# text.
LOSSLESS = frozenset({JOINED})
# Whatever ends a line in some program, for a pattern's class of characters.
LINE_ENDS = r"\n\r\x0b\x85\u2028\u2029"
# What Parquet, PostgreSQL, JSON or XML refuse. Tab, newline, return, and 0x0B, which FileMaker's
# exports write for a return inside of a field, are texts' own.
_ODD = re.compile("[\x00-\x08\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Surrogates: alone they are no character, and UTF-8 cannot write them.
_HALF = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0c\x0e-\x1f\ufffe\uffff]")
# What nobody sees beside blanks: controls, Unicode's default ignorables, a blank of Braille.
_UNSEEN = re.compile(
    "[\x80-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
# The same in UTF-8, which has no surrogates.
_CONTROL_BYTES = bytes({*range(0x20)} - {*b"\t\n\x0b\r"})
_NO_CHARACTERS = ("\ufffe".encode(), "\uffff".encode())
# A number that went through a spreadsheet comes back as 7.0.
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
# A UUID as PostgreSQL prints it, for a pattern. By its shape: uuid.UUID also takes braces, urn: and
# no hyphens at all.
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID = re.compile(UUID, re.ASCII | re.IGNORECASE)
# What of a part of a key would read as the joint, or as one that was replaced.
_LIKE_A_JOINT = re.compile(rf"{re.escape(JOINT)}|%(?=25|2b)", re.IGNORECASE)
_COPY = re.compile(r"\b(copy|kopie|copie|copia|cópia|kopia)\b")  # of a file, as systems name it
# Signs without a look of their own (variation selectors): being marks, `fold` would keep them.
_VARIANTS = re.compile("[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def one_line(given: str) -> str:
    """A text in one line, with one blank between its words."""
    return " ".join(given.split())


def composed(value: str) -> str:
    """``value`` in Unicode's composed form, NFC."""
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def caseless(value: str) -> str:
    """``value`` in the form that compares without regard to case, in every script."""
    # Folding case can take a composed character apart (U+01F0), so it is composed once more.
    # ASCII is by far the usual case, and needs none of Unicode's rules.
    return value.lower() if value.isascii() else composed(composed(value).casefold())


def fold(name: str) -> str:
    """A field's or column's name without case, blanks and signs.

    Letters, digits and their marks stay, in any script: without its marks a Devanagari or Thai word
    would become a different word. ``""`` if there is no letter and no digit: such a name has only
    one spelling. A related field ``Person::Name`` is not the field ``PersonName``.
    """
    if "::" in name:
        return "::".join(fold(part) for part in name.split("::"))
    bare = _VARIANTS.sub("", caseless(name))
    if not any(character.isalnum() for character in bare):
        return ""
    # Composed again: marks that a sign had kept apart stand in another order without it.
    return composed("".join(c for c in bare if unicodedata.category(c)[0] in "LNM"))


def is_uuid(value: str) -> bool:
    """Whether a text is a UUID, in capitals or not."""
    return _UUID.fullmatch(value) is not None


def find(name: str, existing: Iterable[str]) -> tuple[str, ...]:
    """The names of ``existing`` that ``name`` can mean: the exact one, else those spelt alike.

    If there are several, a person must choose: each is a different field.
    """
    names = tuple(existing)
    if name in names:
        return (name,)
    # Another encoding of the same letters is the same name; a folded one is only alike.
    for form in (composed, fold):
        wanted = form(name)
        alike = tuple(other for other in names if wanted and form(other) == wanted)
        if alike:
            return alike
    return ()


def folded(value: str) -> str:
    """A text in which every run of blanks and line ends is one blank."""
    return composed(" ".join(value.split()))


def name_key(value: str) -> str:
    """A name in the form in which lookups compare: case and blanks folded."""
    return caseless(folded(value))


def may_be_a_copy(stem: str, of: str) -> bool:
    """Whether a file's name is ``of`` with no more than digits and signs, or the word for a copy.

    Both without their suffix.
    """
    rest = caseless(stem).removeprefix(caseless(of))
    if rest == caseless(stem):
        return not rest
    return _COPY.search(rest) is not None or not any(letter.isalpha() for letter in rest)


def id_key(value: str) -> str:
    """A FileMaker id in the form in which ids compare: ``P1`` is ``p1``, and ``7.0`` is ``7``.

    Only the module ``ids`` calls this; everybody else compares its values.

    Case and outer blanks do not count, nor does ``.0``, which a number gets in a spreadsheet. In a
    key of several fields this holds for each part.
    """
    text = caseless(value)
    if "." not in text and JOINT not in text:  # nearly every id, of which there are many
        return text.strip()
    return JOINT.join(without_point(part.strip()) for part in text.split(JOINT))


def of_parts(parts: Iterable[str]) -> str:
    """The key that several fields are together; other parts never give the same one.

    A joint inside of a part is written as in an address of the web: ``%2B``.
    """
    return JOINT.join(_LIKE_A_JOINT.sub(lambda sign: f"%{ord(sign[0]):02X}", p) for p in parts)


def without_point(value: str) -> str:
    """``value`` without the ``.0`` that a spreadsheet gives a number."""
    whole = _WHOLE.fullmatch(value)
    return whole[1] if whole else value


def is_clean(values: Sequence[str]) -> bool:
    """Whether ``clean`` would change none of ``values``; much faster than to ask it of each."""
    joined = "".join(values)
    try:
        encoded = joined.encode()
    except UnicodeEncodeError:  # a surrogate
        return False
    if len(encoded.translate(None, _CONTROL_BYTES)) != len(encoded):
        return False
    if len(encoded) == len(joined):  # ASCII has no more of them
        return True
    is_odd = any(odd in encoded for odd in _NO_CHARACTERS)
    return not (is_odd or (_UNSEEN.search(joined) and any(map(_is_unseen, values))))


def _is_unseen(value: str) -> bool:
    """Whether a text holds something, and nothing that anybody sees."""
    # Blanks alone count as empty wherever a text is read.
    return bool(value) and not value.isspace() and not _UNSEEN.sub("", value).strip()


def visible(value: str) -> str:
    """``value`` without what nobody sees, such as the marks around a number that was pasted."""
    return value if value.isascii() else _UNSEEN.sub("", value)


def clean(value: str) -> tuple[str, tuple[str, ...]]:
    """``value`` changed so that every later place can hold it, and what was changed.

    Two surrogates that are one character (CESU-8) are joined; a single one becomes U+FFFD.
    Characters that neither XML nor PostgreSQL's JSON can hold are removed; a form feed becomes a
    line end. FileMaker's paragraph marks (CR, 0x0B), tabs and line ends stay. Of a text in which
    nobody sees anything nothing is left: a name of zero-width spaces is no name.

    Source: XML 1.0, 2.2, "Characters"; PostgreSQL, "JSON types"; RFC 3629, 3 (no surrogates).
    """
    if not _ODD.search(value):
        return ("", (UNSEEN,)) if _is_unseen(value) else (value, ())
    done = []
    if _HALF.search(value):
        joined = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        if len(joined) < len(value):
            done.append(JOINED)
        value, halves = _HALF.subn("\ufffd", joined)
        if halves:
            done.append(HALF)
    value, controls = _CONTROL.subn(lambda match: "\n" if match[0] == "\x0c" else "", value)
    if controls:
        done.append(CONTROL)
    if _is_unseen(value):
        return "", (*done, UNSEEN)
    return value, tuple(done)
