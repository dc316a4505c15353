"""What FileMaker gives in the place of a value that the account may not view.

The protocols have no sign for it: it is a text, in the language of the server, or of the program
that exports. So a text that is not known is told too, where every record of a field has it: that
may be somebody's own text, and a person decides.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nexus_reimport import wording
from nexus_reimport.errors import SourceRefused

if TYPE_CHECKING:
    from pyarrow import RecordBatch

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


def refuse_known(
    table: str, names: Iterable[str], columns: Iterable[Sequence[str]], where: str
) -> None:
    """Stop if one of these texts, by field and record, is known to stand for no access.

    Raises:
        SourceRefused: names the text and the fields.
    """
    closed: dict[str, str] = {}
    for name, texts in zip(names, columns, strict=True):
        # Few fields have such a sign; to ask each text took seven times as long.
        has_sign = "<" in "".join(texts)
        marks = {text for text in texts if _is_bracketed(text)} if has_sign else set[str]()
        if known := NO_ACCESS.intersection(unicodedata.normalize("NFC", one) for one in marks):
            closed[name] = min(known)
    if closed:
        raise SourceRefused(
            f"{table}: FileMaker gives {min(closed.values())} in the place of a value, in"
            f" {wording.some(closed)}",
            where=where,
            next="give the account that reads or exports the right to view every record and field"
            " of the table; then read, or export, again",
        )


def alike(batches: Iterable[RecordBatch]) -> tuple[str, ...]:
    """The fields of a table that hold one and the same text in angle brackets in every record.

    None if there are fewer than two records: of one nothing can be said.
    """
    records, marks = 0, dict[str, str]()
    for batch in batches:
        if not records:
            firsts = {
                name: text or "" for row in batch[:1].to_pylist() for name, text in row.items()
            }
            marks = {name: text for name, text in firsts.items() if _is_bracketed(text)}
        records += batch.num_rows
        # Few tables have such a field: nothing more is read of the others.
        marks = {n: mark for n, mark in marks.items() if {*batch.column(n).to_pylist()} == {mark}}
        if not marks:
            break
    return tuple(marks) if records > 1 else ()


def _is_bracketed(text: str) -> bool:
    return text[:1] == "<" and text[-1:] == ">"
