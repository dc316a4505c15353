"""A record as an RO-Crate, so that other software can read who ran what, when, and what came out.

``data/ro-crate-metadata.json``, by the profile Process Run Crate of the Workflow Run family. Its
root is the payload, as RO-Crate's own papers say for a crate in a bag. It is made from the record
alone, when it is sealed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nexus_reimport
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Plan, Proposal
from nexus_reimport.record import journal, values
from nexus_reimport.record.sealed import bag, front
from nexus_reimport.record.sealed.front import Front

FILE = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_FORMATS = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".csv": "text/csv",
}
DONE, FAILED = ("http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus")
_GOOD = frozenset({"COMPLETE"})


def write(folder: Path, verdict: str) -> None:
    """Describe the record in ``folder``, whose files are all there; an earlier text is replaced."""
    payload = folder / bag.PAYLOAD
    text = json.dumps(describe(folder, verdict), indent=1, sort_keys=True)
    private.replace(payload / FILE, text.encode() + b"\n")


def describe(folder: Path, verdict: str) -> dict[str, Any]:
    """The crate's metadata as JSON-LD."""
    from rocrate.rocrate import ROCrate

    payload, seen = folder / bag.PAYLOAD, front.read(folder)
    crate = ROCrate(version="1.1")
    root = crate.root_dataset
    crate.name = f"Record of run {seen.run} of {seen.environment or folder.parent.name}"
    crate.description = "One run that reimports patient data into Nexus: counts, ids, no values"
    root["datePublished"] = _text(seen.ended)
    root["conformsTo"] = _entity(crate, PROFILE, "CreativeWork", name="Process Run Crate")
    terms = "Internal record of the clinic; it is not published"
    root["license"] = _entity(crate, "#license", "CreativeWork", name=terms)
    app = _entity(
        crate,
        "#nexus_reimport",
        "SoftwareApplication",
        name="nexus_reimport",
        version=nexus_reimport.__version__,
    )
    person = _entity(crate, f"#{seen.who or 'unknown'}", "Person", name=seen.who or "unknown")
    files = {name: _file(crate, payload, name) for name in _names(folder)}
    whole = crate.add_action(
        app,
        "#run",
        object=[files[n] for n in (bag.ENVIRONMENT,) if n in files] + _inputs(crate, payload),
        result=[file for name, file in files.items() if name != bag.ENVIRONMENT],
        properties=_of_run(seen, verdict),
    )
    whole["agent"] = person
    stages = [_stage(crate, app, files, *one) for one in _stages(journal.read(payload))]
    root["mentions"] = [whole, *stages]
    return dict(crate.metadata.generate())


def _of_run(seen: Front, verdict: str) -> dict[str, str]:
    approval = seen.approval
    approved = f"; approved by {approval.who} ({approval.how})" if approval else ""
    return {
        "name": f"Run {seen.run} ({seen.kind})",
        "description": f"Verdict {verdict}{approved}. {seen.changed}",
        "startTime": _text(seen.began),
        "endTime": _text(seen.ended),
        "actionStatus": DONE if verdict in _GOOD else FAILED,
    }


def _names(folder: Path) -> list[str]:
    """The files of the payload by their paths in it, this description aside."""
    paths = sorted(bag.contents(folder).files)
    return [n for path in paths if (n := path.removeprefix(f"{bag.PAYLOAD}/")) != FILE]


def _file(crate: Any, payload: Path, name: str) -> Any:
    properties = {"contentSize": str((payload / name).stat().st_size)}
    if known := _FORMATS.get(Path(name).suffix):
        properties["encodingFormat"] = known
    return crate.add_file(payload / name, dest_path=name, properties=properties)


def _inputs(crate: Any, payload: Path) -> list[Any]:
    """The digests of what the run was given, as far as it came."""
    opened = journal.opened(journal.read(payload))
    digests = {"environment file": opened.text("environment_file") if opened else ""}
    plan, proposal = front.value(Plan, payload), front.value(Proposal, payload)
    if proposal:
        given = ("snapshot", "mapping", "code", "schema", "decisions")
        digests |= {name: getattr(proposal, name) for name in given}
    if plan:
        digests["plan"] = plan.digest
    return [
        _entity(crate, f"#{name.replace(' ', '-')}", "PropertyValue", name=name, value=digest)
        for name, digest in digests.items()
        if digest
    ]


def _stages(entries: Sequence[journal.Entry]) -> Iterable[tuple[str, journal.Entry, journal.Entry]]:
    """Each stage's last try that came to an end: its name, its first and its last line."""
    started: dict[str, journal.Entry] = {}
    ended: dict[str, tuple[journal.Entry, journal.Entry]] = {}
    for entry in journal.only(entries, Event.STARTED, Event.FINISHED, Event.FAILED):
        if entry.event is Event.STARTED:
            started[entry.stage] = entry
        elif entry.stage in started:
            ended[entry.stage] = (started[entry.stage], entry)
    return [(stage, *lines) for stage, lines in ended.items()]


def _stage(
    crate: Any,
    app: Any,
    files: dict[str, Any],
    stage: str,
    first: journal.Entry,
    last: journal.Entry,
) -> Any:
    result = [files[name] for name in sorted(values.files_of_stage(stage)) if name in files]
    properties = {
        "name": stage,
        "startTime": first.text("at"),
        "endTime": last.text("at"),
        "actionStatus": DONE if last.event is Event.FINISHED else FAILED,
    }
    return crate.add_action(app, f"#stage-{stage}", result=result, properties=properties)


def _entity(crate: Any, identifier: str, kind: str, **properties: str) -> Any:
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))


def _text(at: Any) -> str:
    return at.isoformat() if at else ""
