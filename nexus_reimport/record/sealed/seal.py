"""Sealing a record: its verdict, then the files that make a bag of it, the last of them last.

A kill at any instant leaves an open record, or a sealed one; or one whose last file the next
command writes, exactly as it was meant (``chain.finish``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nexus_reimport
from nexus_reimport.errors import OnlySealed
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import journal, verdict
from nexus_reimport.record.sealed import bag, chain, crate, front, index, register, signature
from nexus_reimport.record.sealed.chain import Link
from nexus_reimport.settings import Signing


def write(
    folder: Path,
    environment: str,
    known: Link | None = None,
    signing: Signing | None = None,
    look: Callable[[], None] = lambda: None,
) -> str:
    """Close the record in ``folder``; its seal. ``known``: a last seal that is known elsewhere.

    ``look`` is called before the last file is written, and an error of it leaves the record open.

    Raises:
        OnlySealed: it is sealed, and could not be signed with ``signing``, or is not in the list of
            records.
    """
    judged = _judge(folder / bag.PAYLOAD, folder.name, environment)
    described = _describe(folder, judged)
    hashes = bag.close_payload(folder)
    link = chain.last(folder.parent, known)
    bag.clear(folder)
    bag.write(folder, bag.DECLARATION, bag.DECLARED)
    bag.write(folder, bag.MANIFEST, bag.manifest_text(hashes))
    facts = {
        "Run": folder.name,
        "Environment": environment,
        "Kind": journal.kind(journal.read(folder / bag.PAYLOAD)),
        "Verdict": judged,
        "Sequence": link.sequence + 1 if link else 1,
        "Record-Before": link.run if link else bag.NOTHING,
        "Seal-Before": link.seal if link else bag.NOTHING,
        register.LINE: register.last(folder.parent),
        "Sealed-At": datetime.now(UTC).isoformat(timespec="seconds"),
        bag.SIGNED: bag.NOTHING,
        "Payload-Oxum": bag.size(folder, hashes),
        "Described-By": described,
        "External-Description": "Record of one run that reimports patient data into Nexus",
        "Bag-Software-Agent": f"nexus_reimport {nexus_reimport.__version__}",
    }
    text, unsigned = _signed(folder, facts, signing)
    # The last moment at which somebody's data in the record can still keep it open.
    look()
    _close(folder, text)
    if unsigned:
        with suppress(OnlySealed):  # that it is not signed goes first
            index.write(folder.parent)
        raise unsigned
    index.write(folder.parent)
    return private.sha256(text)


def clear(folder: Path) -> None:
    """Take away what a kill, or a seal that was given up, has left in the record."""
    bag.clear(folder)
    bag.clear_drafts(folder / bag.PAYLOAD)
    for name in (verdict.FILE, crate.FILE):
        (folder / bag.PAYLOAD / name).unlink(missing_ok=True)


def _signed(
    folder: Path, facts: dict[str, object], signing: Signing | None
) -> tuple[bytes, OnlySealed | None]:
    """The tag manifest, its signature in place where one is asked for, or why it is not."""
    if signing is None:
        return _tag_manifest(folder, facts), None
    text = _tag_manifest(folder, facts | {bag.SIGNED: signing.who})
    try:
        signature.write(folder, signature.sign(signing, text))
    except OnlySealed as error:
        return _tag_manifest(folder, facts | {bag.NOT_SIGNED: error.what}), error
    return text, None


def _tag_manifest(folder: Path, facts: dict[str, object]) -> bytes:
    """The tag manifest, once all is in place that it vouches for."""
    private.replace(folder / bag.INFO, bag.info_text(facts).encode())
    private.replace(folder / bag.README, front.readme(front.read(folder)).encode())
    return bag.tag_manifest_text(folder).encode()


def _close(folder: Path, text: bytes) -> None:
    link = Link(chain.number(folder), folder.name, private.sha256(text))
    # Noted before it is sealed: what a kill leaves in between, the next command completes.
    chain.note_last(folder.parent, link)
    private.replace(folder / bag.TAG_MANIFEST, text)


def _describe(folder: Path, judged: verdict.Verdict) -> str:
    """Where the record is described for other software; a description that fails spoils no seal."""
    try:
        crate.write(folder, judged)
    # The description is for other software: without it the record is as good.
    except Exception as error:
        return f"nothing: {journal.failure(error)['what']}"
    return f"{bag.PAYLOAD}/{crate.FILE}"


def _judge(payload: Path, run: str, environment: str) -> verdict.Verdict:
    """The verdict, in the journal and in a file of its own."""
    # Judged as sealed: a run that waits for an approval is given up by its seal.
    judged = verdict.judge([*journal.read(payload), journal.Entry(Event.SEALED, {})])
    journal.append(payload, Event.SEALED, verdict=judged)
    events = journal.read(payload)
    failed = journal.last_failure(events)
    verdict_file = {
        "run": run,
        "environment": environment,
        "verdict": judged,
        "exit_code": verdict.exit_code(events, judged),
        "database": verdict.state(events, judged),
        "failed": failed.line if failed else None,
    }
    (payload / verdict.FILE).unlink(missing_ok=True)  # of a seal that a kill cut short
    write_json(payload / verdict.FILE, verdict_file)
    return judged


def write_json(path: Path, value: Any) -> None:
    """A JSON file that was not there, readable by the owner alone and on the disk."""
    private.write_new(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")
