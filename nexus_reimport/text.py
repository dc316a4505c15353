"""How text compares: names of fields and files, names that people give, ids; what it may hold.

Everything compares in Unicode's composed form, NFC: macOS writes file names decomposed, and what
looks alike and is alike by Unicode's own rule is one name. NFKC would go further and make one of
``x²`` and ``x2``, which FileMaker and Nexus keep apart. Case is folded in every script.

The ids of FileMaker compare in one way, for uniqueness and for links: without regard to case, as
FileMaker's own relationships and its validation "unique value" do. What is stored, and what people
see, stays as FileMaker wrote it.

Source: Claris FileMaker Pro Help, "Matching values in a relationship"; Unicode Standard Annex 15,
"Normalization forms"; Unicode Standard, 3.13, "Default caseless matching".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

JOINT = "+"  # between the parts of a key of several fields
JOINED = "two halves of a character were joined"
HALF = "half a character was replaced"
CONTROL = "a control character was taken out"
LOSSLESS = frozenset({JOINED})
_ODD = re.compile("[\x00-\x08\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_HALF = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0c\x0e-\x1f\ufffe\uffff]")
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_VARIANTS = re.compile("[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def composed(value: str) -> str:
    """``value`` in Unicode's composed form, NFC."""
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def caseless(value: str) -> str:
    """``value`` as it compares without regard to case, in every script."""
    return value.lower() if value.isascii() else composed(composed(value).casefold())


def fold(name: str) -> str:
    """What is left of a field's or column's name without case, blanks and signs.

    Letters, digits and the marks that belong to them stay, of any script: without its marks one
    Devanagari or Thai word would be another. ``""`` where there is no letter and no digit: such a
    name has no other spelling. A related field, ``Person::Name``, is not a field ``PersonName``.
    """
    if "::" in name:
        return "::".join(fold(part) for part in name.split("::"))
    bare = _VARIANTS.sub("", caseless(name))
    if not any(character.isalnum() for character in bare):
        return ""
    return "".join(c for c in bare if unicodedata.category(c)[0] in "LNM")


def find(name: str, existing: Iterable[str]) -> tuple[str, ...]:
    """The names of ``existing`` that ``name`` can mean: the exact one, else those spelt alike.

    Several are for a person to choose from: each is another field.
    """
    names = tuple(existing)
    if name in names:
        return (name,)
    for form in (composed, fold):
        wanted = form(name)
        alike = tuple(other for other in names if wanted and form(other) == wanted)
        if alike:
            return alike
    return ()


def folded(value: str) -> str:
    """What is left of a text when every run of blanks and line ends counts as one blank."""
    return composed(" ".join(value.split()))


def name_key(value: str) -> str:
    """A name as lookups compare it: case and blanks folded."""
    return caseless(folded(value))


def id_key(value: str) -> str:
    """A FileMaker id as ids compare: ``P1`` is ``p1``, and ``7.0`` is ``7``.

    ``ids`` alone asks: whoever compares ids has them as values.

    Case does not count, nor do outer blanks, nor a fraction of zeros, which a number gets on its
    way through a spreadsheet. Of a key of several fields, each part compares so.
    """
    parts = (part.strip() for part in caseless(value).split(JOINT))
    return JOINT.join(whole[1] if (whole := _WHOLE.fullmatch(part)) else part for part in parts)


def clean(value: str) -> tuple[str, tuple[str, ...]]:
    """``value`` as every later place can hold it, and what was done for that.

    Two surrogates that are one character (CESU-8) are joined, a single one becomes U+FFFD.
    Characters that neither XML nor JSON in PostgreSQL can hold are taken out; a form feed becomes a
    line end. FileMaker's paragraph marks (CR, 0x0B), tabs and line ends stay.

    Source: XML 1.0, 2.2, "Characters"; PostgreSQL, "JSON types"; RFC 3629, 3 (no surrogates).
    """
    if not _ODD.search(value):
        return value, ()
    done = []
    if _HALF.search(value):
        joined = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        if len(joined) < len(value):
            done.append(JOINED)
        value, halves = _HALF.subn("\ufffd", joined)
        if halves:
            done.append(HALF)
    value, controls = _CONTROL.subn(lambda found: "\n" if found[0] == "\x0c" else "", value)
    if controls:
        done.append(CONTROL)
    return value, tuple(done)
