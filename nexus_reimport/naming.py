"""What people call what the code and the mapping name: entities, tables, rules, stages, values.

A technical name stays where a person types or pastes it (a decision, a waiver, a table in SQL), and
in the record's files. A name without words of its own is read with blanks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}", re.ASCII)  # as a new record calls its run
_BETWEEN_WORDS = re.compile(
    r"<(title|option|textarea)\b.*?</\1>|<[^>]*>|(?<=[A-Za-z0-9]{2})[_.](?=[A-Za-z])", re.DOTALL
)
_AGAIN = re.compile(r"(?P<page>.*?)(?:-(?P<number>\d+))?\.html", re.DOTALL | re.ASCII)
_ROWS = {  # an entity, a table, or a kind of attachment -> several of it
    "sms_messages": "SMS messages",
    "sms_inbound": "SMS replies",
    "letters_patientletter": "letters",
    "documents_document": "documents",
    "images_image": "images",
    "images_batch": "image batches",
}
_STAGES = {
    "snapshot": "read FileMaker",
    "census": "list the files in S3",
    "survey_and_backup": "read Nexus and back it up",
    "sample": "hash some files in S3",
    "self_test": "test the verification on a copy",
    "activity": "who else writes",
    "drift": "FileMaker since the dry run",
    "apply": "reimport",
    "back_up": "back up what is there now",
    "look": "what would be taken back",
    "rollback_proposal": "proposal",
    "undo": "rollback",
    "checks_rollback": "checks after the rollback",
    "seal": "seal the record",
}
_PROPER = {"filemaker": "FileMaker", "nexus": "Nexus", "sms": "SMS", "ndis": "NDIS", "s3": "S3"}
_PROPER_NAME = re.compile(rf"\b({'|'.join(_PROPER)})\b")


def breakable(html: str) -> str:
    """HTML in which a long name goes on in the next line between its words; it is copied as it is.

    Tags, and what is read as plain text, are left alone.
    """
    return _BETWEEN_WORDS.sub(lambda it: it[0] if it[0][0] == "<" else f"{it[0]}<wbr>", html)


def rows(name: str) -> str:
    """An entity, a table or a kind of attachment, as people call several of it."""
    return _ROWS.get(name) or words(name)


def counted(counts: Mapping[str, int], none: str = "nothing") -> str:
    """``2,842 patients, 1 SMS reply``; ``none`` where every count is 0."""
    return ", ".join(f"{n:,} {named(rows(name), n)}" for name, n in counts.items() if n) or none


def links(counts: Mapping[str, int], none: str = "nothing") -> str:
    """``6 links of documents, 1 link of images``: a batch has one link for all of its images."""
    parts = (f"{n:,} {named('links', n)} of {rows(name)}" for name, n in counts.items() if n)
    return ", ".join(parts) or none


def values(counts: Mapping[str, Mapping[str, int]], none: str = "nothing") -> str:
    """``30 values of patients (dob 28, title 2), 1 value of notes (content)``, by column."""
    totals = {name: sum(by_column.values()) for name, by_column in counts.items()}
    parts = (
        f"{n:,} {named('values', n)} of {rows(name)} ({_columns(counts[name])})"
        for name, n in totals.items()
        if n
    )
    return ", ".join(parts) or none


def _columns(counts: Mapping[str, int]) -> str:
    alone = len(counts) == 1
    return ", ".join(column if alone else f"{column} {n:,}" for column, n in counts.items())


def named(several: str, count: int) -> str:
    """``letters``, as people call so many of them: ``letter`` for one."""
    return _one(several) if count == 1 else several


def stage(name: str) -> str:
    """A stage of a run, as people call it: ``read FileMaker``."""
    return _STAGES.get(name) or words(name)


def words(name: str) -> str:
    """A rule, a cause, a column or a value of the record, in words: ``not in FileMaker``."""
    return _PROPER_NAME.sub(lambda match: _PROPER[match[0]], name.replace("_", " "))


def turn(page: str) -> tuple[str, int]:
    """By this the pages of a run are sorted: ``03_verify.html`` is followed by ``03_verify-2``'s.

    As texts they would stand the other way round, and a tenth one before the second.
    """
    match = _AGAIN.fullmatch(page)
    return (match["page"], int(match["number"] or 1)) if match else (page, 0)


def _one(several: str) -> str:
    """``an entity``'s name for one of it: its plural is regular English."""
    if several.endswith("ies"):
        return f"{several[:-3]}y"
    return several.removesuffix("es" if several.endswith("ches") else "s")
