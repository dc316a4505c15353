"""Small sealed records, made as a run makes them, without a server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexus_reimport import model, record
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Approval
from nexus_reimport.nexus.registry import Committed
from nexus_reimport.record import Run, values
from nexus_reimport.record.sealed import bag, check, compared
from nexus_reimport.record.sealed.check import Checked
from nexus_reimport.settings import Settings


def stopped(known: Settings) -> Run:
    """A run that a check has stopped, sealed."""
    run = record.create(known)
    facts = {"stage": "plan", "what": "3 rows are undecided", "exit_code": 1}
    run.journal(Event.STARTED, stage="plan", pid=1)
    run.journal(Event.FAILED, **facts)
    run.seal()
    return run


def complete(known: Settings) -> Run:
    """A run that was committed and verified, sealed: its values are empty, and all there."""
    run = committed(known)
    run.journal(Event.VERIFIED)
    run.seal()
    return run


def committed(known: Settings) -> Run:
    """A run that was committed, and is open."""
    run = record.create(known)
    for name in sorted(values.files_of_committed("reimport") | {"applied.json"}):
        (run.folder / name).write_text(f'{{"made up": "{name}"}}\n')
    approve(run)
    (run.folder / "01_preflight.html").write_text("<p>a page</p>\n")
    for stage in ("snapshot", "survey", "plan", "proposal", "approval"):
        run.journal(Event.STARTED, stage=stage, pid=1)
        run.journal(Event.FINISHED, stage=stage)
    run.journal(Event.STARTED, stage="apply", pid=1)
    run.journal(Event.COMMITTING)
    run.journal(Event.COMMITTED)
    run.journal(Event.FINISHED, stage="apply")
    return run


def approve(run: Run, proposal: str = "proposal") -> None:
    """Have the values of a run such as an approval binds, and have them approved."""
    held: dict[str, dict[str, Any]] = {
        "snapshot": {"extracts": {}},
        "survey": {"schema": []},
        "plan": {"made up": "plan", "digest": ""},
    }
    held["plan"]["digest"] = model.digest(held["plan"])
    bound = {"plan": held["plan"]["digest"], "digest": ""}
    bound |= {"snapshot": model.digest({}), "schema": private.sha256(b"[]")}
    held[proposal] = bound | {"digest": model.digest(bound)}
    for name, value in held.items():
        (run.folder / f"{name}.json").write_text(json.dumps(value))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    run.save(Approval(held[proposal]["digest"], "a person", "digest given", at))


def made_once(known: Settings, kept: Path, make: Callable[[Settings], object]) -> None:
    """What ``make`` leaves in the environment's folders; from ``kept``, if it was made before."""
    folders = (known.folders.runs, known.folders.private)
    if kept.is_dir():
        for folder in folders:
            shutil.copytree(kept / folder.name, folder, symlinks=True, dirs_exist_ok=True)
        return
    make(known)
    for folder in folders:
        shutil.copytree(folder, kept / folder.name, symlinks=True)


def row(run: Run, **differing: Any) -> Committed:
    """What the database holds of a run that was committed, and of its record, if it is sealed."""
    link, approval = run.place(), run.loaded(Approval)
    facts = {
        "run": run.id,
        "environment": run.environment,
        "kind": run.kind,
        "digest": approval.digest if approval else "0" * 64,
        "approved_by": "a person",
        "before": {},
        "after": {},
        "undo": None,
        "undone_by": "",
        "committed_at": datetime(2026, 3, 1, tzinfo=UTC),
        "seal": run.seal_digest(),
        "sequence": link.sequence if link else 0,
        "verdict": str(run.verdict()) if link else "",
    }
    return Committed(**(facts | differing))


def checked(known: Settings, rows: Iterable[Committed]) -> list[Checked]:
    """All records of the environment, compared with each other, and with what a database holds."""
    found = check.of_folder(known.records_folder, known.name)
    return compared.with_database(found, rows)


def wrong(found: Sequence[Checked]) -> dict[str, tuple[str, ...]]:
    """Run, or "" for all of them -> its problems; those without are left out."""
    return {one.run: one.problems for one in found if one.problems}


def seal_anew(folder: Any) -> None:
    """Make the bag in ``folder`` whole again, as somebody does who has edited it."""
    hashes = bag.close_payload(folder)
    info = bag.info(folder) | {"Payload-Oxum": bag.size(folder, hashes)}
    (folder / bag.MANIFEST).write_text(bag.manifest_text(hashes))
    (folder / bag.INFO).write_text(bag.info_text(info))
    (folder / bag.TAG_MANIFEST).write_text(bag.tag_manifest_text(folder))
