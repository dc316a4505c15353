"""How people call entities, tables and kinds of attachments, in sentences of a record."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = {
    "sms_messages": "SMS",
    "sms_inbound": "SMS replies",
    "letters_patientletter": "letters",
    "documents_document": "documents",
    "documents_medicalimage": "images",
}
_ONE = {"SMS": "SMS", "SMS replies": "SMS reply"}


def name_of(entity: str) -> str:
    """An entity, a table or a kind of attachment, as people call several of it."""
    return _NAMES.get(entity, entity.replace("_", " "))


def counted(counts: Mapping[str, int], none: str = "nothing") -> str:
    """``2,842 patients, 1 SMS reply``; ``none`` where every count is 0."""
    return ", ".join(f"{n:,} {_named(name, n)}" for name, n in counts.items() if n) or none


def _named(name: str, count: int) -> str:
    several = name_of(name)
    return _ONE.get(several, several.removesuffix("s")) if count == 1 else several
