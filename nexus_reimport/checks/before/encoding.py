"""Checks before: whether the database's encoding has the characters of the planned rows."""

from __future__ import annotations

from collections import defaultdict

from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.rows import leaving_out, records_of, rows_by_name
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.files import rowfile
from nexus_reimport.model import Level

# PostgreSQL's name of an encoding -> Python's, where both have the same characters.
_LATIN = {1: 1, 2: 2, 3: 3, 4: 4, 5: 9, 6: 10, 7: 13, 8: 14, 9: 15, 10: 16}
_CODECS = {
    **{f"LATIN{number}": f"iso8859_{part}" for number, part in _LATIN.items()},
    **{f"ISO_8859_{part}": f"iso8859_{part}" for part in range(5, 9)},
    **{f"WIN{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))},
    **{name: name.lower() for name in ("KOI8R", "KOI8U", "EUC_JP", "EUC_KR")},
}
_RESTORE = "restore its dump into a database with the encoding UTF8, which has every character"


@check(Before, Level.STOP, serves=("M3",), waivable=False)
def every_planned_character_is_in_the_database_s_encoding(before: Before) -> Finding:
    """Every character of the planned rows exists in the encoding of Nexus's database."""
    encoding = before.backup.shape.encoding
    if encoding == "UTF8":
        return Finding(1, note="UTF8 has every character")
    if encoding not in _CODECS:
        return Finding(1, [encoding], note=f"which characters it has is not known: {_RESTORE}")
    looked, count, lines, advice = 0, 0, list[str](), list[str]()
    for name, plan in before.plan.entities.items():
        looked += plan.file.rows
        missing = _missing(before, name, _CODECS[encoding])
        keys = set[str]().union(*missing.values())
        if not keys:
            continue
        records = records_of(before, name)
        count += len(keys)
        lines += [f"{name}.{c}: {rows_by_name(those, records)}" for c, those in missing.items()]
        advice += leaving_out(before, name, f"not_in_{encoding}", keys, records)
    note = "; ".join((f"the database's encoding is {encoding}: {_RESTORE}", *advice))
    return Finding(max(1, looked), lines, count=count, note=note if lines else "")


def _missing(before: Before, entity: str, codec: str) -> dict[str, list[str]]:
    """Each column with characters that the encoding lacks, and the keys of these rows."""
    file, key = before.plan.entities[entity].file, before.survey.keys[entity]
    missing: dict[str, list[str]] = defaultdict(list)
    for batch in rowfile.batches(before.folder, file):
        keys = batch.column(key).to_pylist()
        for column in file.columns:
            values = [value or "" for value in batch.column(column).to_pylist()]
            if not _has(codec, "".join(values)):
                both = zip(keys, values, strict=True)
                missing[column] += [row or "" for row, value in both if not _has(codec, value)]
    return missing


def _has(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
