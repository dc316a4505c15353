"""How text compares: names of fields and files, names that people give, and ids.

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
from typing import TypeVar

T = TypeVar("T")
JOINT = "+"  # between the parts of a key of several fields
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_VARIANTS = re.compile("[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def composed(value: str) -> str:
    """``value`` in Unicode's composed form, NFC."""
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def caseless(value: str) -> str:
    """``value`` as it compares without regard to case, in every script."""
    return composed(composed(value).casefold())


def fold(name: str) -> str:
    """What is left of a field's or column's name without case, blanks and signs.

    Letters, digits and the marks that belong to them stay, of any script: without its marks one
    Devanagari or Thai word would be another. ``""`` where there is no letter and no digit: such a
    name has no other spelling.
    """
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

    Case does not count, nor do outer blanks, nor a fraction of zeros, which a number gets on its
    way through a spreadsheet. Of a key of several fields, each part compares so.
    """
    parts = (part.strip() for part in caseless(value).split(JOINT))
    return JOINT.join(_WHOLE.sub(r"\1", part) if _WHOLE.fullmatch(part) else part for part in parts)


def by_id(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """``pairs`` of an id and what goes with it, by ``id_key``; of equal ids the last one counts."""
    return {id_key(one): value for one, value in pairs}
