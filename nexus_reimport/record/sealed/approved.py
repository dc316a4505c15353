"""Whether a run's values are those that were approved: the digest that a person typed binds them.

And whether each value, list and page is as it was written, by the hash of it in the journal.

Plan, snapshot and schema have a digest each, which stand in the proposal, whose own digest was
typed, and is in the database since COMMIT. The files are read as JSON, not as values of this
version: an older version's have other members.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nexus_reimport import model
from nexus_reimport.files import private
from nexus_reimport.record import journal
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.values import read_object

_APPROVAL, _OF_ROLLBACK = "approval.json", "rollback_proposal.json"


def problems(payload: Path, entries: Sequence[Entry]) -> Iterator[str]:
    """What is not as it was written, or approved, file by file.

    A file from which something was redacted is left aside: its journal, ``entries``, says so.
    """
    for name in not_as_written(payload, entries):
        yield f"{name}: it is not what its stage has written"
    redacted = journal.redacted(entries)
    if not (payload / _APPROVAL).is_file() or _APPROVAL in redacted:
        return
    name = _OF_ROLLBACK if (payload / _OF_ROLLBACK).is_file() else "proposal.json"
    # A journal that has lost its beginning says nothing of it, and that is told already.
    if journal.opened(entries) and not journal.is_approved(entries):
        yield f"{_APPROVAL}: the journal does not say that what was proposed last was approved"
    if name in redacted:
        return
    proposal = read_object(payload / name)
    digest = _of_content(proposal)
    if not digest or digest != read_object(payload / _APPROVAL).get("digest"):
        yield f"{name}: it is not what was approved"
        return
    if name == _OF_ROLLBACK:
        return
    for file, member, digest_of in (
        ("plan.json", "plan", _of_content),
        ("snapshot.json", "snapshot", _of_extracts),
        ("survey.json", "schema", _of_schema),
    ):
        if file not in redacted and digest_of(read_object(payload / file)) != proposal.get(member):
            yield f"{file}: its {member} is not the one that was approved"


def not_as_written(payload: Path, entries: Sequence[Entry]) -> list[str]:
    """The values, lists and pages that are not what was written.

    None where a kill has ended a stage before COMMIT: it may have come before the hash.
    """
    known = {} if journal.unfinished(entries) - journal.CHECKED else journal.kept_hashes(entries)
    paths = ((payload / name, digest) for name, digest in sorted(known.items()))
    return [
        path.name
        for path, digest in paths
        if path.parent == payload and path.is_file() and private.sha256_of(path) != digest
    ]


def _of_content(value: dict[str, Any]) -> str:
    """As ``model.digest`` gave it of the value without it; "" where it says another one."""
    digest = model.digest({**value, "digest": ""})
    return digest if value.get("digest") == digest else ""


def _of_extracts(snapshot: dict[str, Any]) -> str:
    """As ``model.Snapshot.digest`` gives it; "" where the file has another form."""
    try:
        return model.digest({n: e["file"]["sha256"] for n, e in snapshot["extracts"].items()})
    except (KeyError, TypeError, AttributeError):
        return ""


def _of_schema(survey: dict[str, Any]) -> str:
    """As ``nexus.structure.schema.digest`` gives it; "" where the file has another form."""
    try:
        content = [[f["place"], f["shown"], f["digest"]] for f in survey["schema"]]
    except (KeyError, TypeError):
        return ""
    return private.sha256(json.dumps(content).encode())
