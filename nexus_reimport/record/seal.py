"""Sealing a record, and whether a sealed one is as it was sealed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import chain, journal, manifest, verdict

VERDICT = "verdict.json"


def write(folder: Path, run: str, environment: str) -> str:
    """Write verdict and manifest; the digest of the manifest."""
    judged = verdict.judge([*journal.read(folder), journal.Entry(Event.SEALED, {})])
    journal.append(folder, Event.SEALED, verdict=judged)
    events = journal.read(folder)
    failed = journal.last_failure(events)
    head = {"run": run, "environment": environment, "verdict": judged}
    told = {
        "exit_code": verdict.exit_code(events),
        "database": verdict.state(events),
        "failed": failed.line if failed else None,
    }
    (folder / VERDICT).unlink(missing_ok=True)  # of a seal that a kill cut short
    manifest.write_new(folder / VERDICT, head | told)
    sealed = {
        "sealed_at": datetime.now(UTC).isoformat(),
        "before": chain.before(folder),
        "files": manifest.files(folder),
    }
    manifest.write_new(folder / manifest.MANIFEST, head | sealed)
    return manifest.digest(folder)


def problems(folder: Path) -> list[str]:
    """What of a sealed record is not as it was sealed: changed, missing, added files."""
    if not manifest.is_there(folder):
        return ["not sealed"]
    sealed = manifest.read(folder)
    then, now = sealed["files"], manifest.names(folder)
    found = [f"{name}: missing" for name in sorted(then.keys() - now)]
    found += [f"{name}: added after the seal" for name in sorted(now - then.keys())]
    found += [
        f"{name}: changed after the seal"
        for name in sorted(now & then.keys())
        if private.sha256_of(folder / name) != then[name]
    ]
    return found + chain.problems(folder, sealed)
