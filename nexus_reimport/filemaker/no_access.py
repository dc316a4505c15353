"""What FileMaker gives in the place of a value that the account may not view.

The protocols have no sign for it: it is a text, in the language of the server, or of the program
that exports. So a text that is not known counts too, where every record of a field has it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence

from nexus_reimport import wording
from nexus_reimport.errors import SourceRefused

# Source: Claris FileMaker Pro Help, "Editing record access privileges", in each language. The text
# for Portuguese is the term that its other pages have: none that was read shows the text itself.
NO_ACCESS = frozenset(
    {
        "<No Access>",
        "<Kein Zugriff>",
        "<Accès refusé>",
        "<Sin acceso>",
        "<Nessun accesso>",
        "<Geen toegang>",
        "<Ingen behörighet>",
        "<Sem acesso>",
        "<アクセス権がありません>",
        "<アクセスがありません>",  # until FileMaker 12
        "<不可访问>",
        "<접근 불가>",
    }
)
_NEXT = (
    "give the account that reads or exports the right to view every record and field of"
    " the table; then read, or export, again"
)


class ClosedFields:
    """Looks for fields of one table that the account may not view, a page of records at a time."""

    def __init__(self, table: str, names: Iterable[str], where: str) -> None:
        self._table, self._names, self._where = table, tuple(names), where
        self._records = 0
        self._alike: dict[str, str] = {}  # field -> the text in angle brackets of all its records

    def refuse_known(self, columns: Sequence[Sequence[str]]) -> None:
        """Stop if one of these texts, by field and record, is known to stand for no access.

        Raises:
            SourceRefused: names the text and the fields.
        """
        records = len(columns[0]) if columns else 0
        closed: dict[str, str] = {}
        for name, texts in zip(self._names, columns, strict=True):
            # Few fields have such a sign; to ask each text took seven times as long.
            has_sign = "<" in "".join(texts)
            marks = {t for t in texts if t[:1] == "<" and t[-1:] == ">"} if has_sign else set[str]()
            if known := NO_ACCESS.intersection(unicodedata.normalize("NFC", one) for one in marks):
                closed[name] = min(known)
            self._compare(name, texts, marks)
        self._records += records
        if closed:
            raise SourceRefused(
                f"{self._table}: FileMaker gives {min(closed.values())} in the place of a value,"
                f" in {wording.some(closed)}",
                where=self._where,
                next=_NEXT,
            )

    def _compare(self, name: str, texts: Sequence[str], marks: Collection[str]) -> None:
        """Note whether all records so far have one and the same text in angle brackets."""
        mark = next(iter(marks)) if len(marks) == 1 else ""
        if not self._records and mark and texts.count(mark) == len(texts):
            self._alike[name] = mark
        elif self._alike.get(name) != mark or texts.count(mark) != len(texts):
            self._alike.pop(name, None)

    def refuse_alike(self) -> None:
        """Stop if a field has one and the same text in angle brackets in every record.

        Raises:
            SourceRefused: names the fields; the text is not known, and may be somebody's.
        """
        if self._records < 2 or not self._alike:
            return
        raise SourceRefused(
            f"{self._table}: every record has one and the same text in angle brackets, in"
            f" {wording.some(self._alike)}: FileMaker gives such a text, as <No Access>, in the"
            " place of a value",
            where=self._where,
            next=_NEXT,
        )
