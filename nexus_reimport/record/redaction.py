"""Taking out of an open record what the sweep has found in its journal, or on its pages.

A line of the journal keeps its number, time and event; each text in which something was found is
replaced, all later lines are chained anew, and a last line says which were redacted, of which kind,
by whom. The journal and the pages as they were stay in the run's private folder.
"""

from __future__ import annotations

import getpass
import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import bag, closing, journal, pages, seal
from nexus_reimport.record.run import Run
from nexus_reimport.record.sweep import Hit, Sweep
from nexus_reimport.settings import Settings

PUT = "[redacted]"
_JOURNAL = f"{bag.PAYLOAD}/{journal.JOURNAL}"
_STAYS = frozenset({"n", "before", "at", "event"})  # of a line, whatever is in it
# Our own words in a line: replaced only if something is found in them alone.
_OURS = _STAYS | {"stage", "kind", "of", "run", "environment", "hook", "page", "lab", "undoes"}


@dataclass(frozen=True, slots=True)
class Found:
    """Where a record holds what must not be in it: what is redacted, what a person must look at."""

    redacted: tuple[Hit, ...]
    left: tuple[Hit, ...]


def look(settings: Settings, run: Run) -> Found:
    """What would be redacted, and what would be left for a person; nothing is written."""
    run.require_open()
    return _sorted(run, closing.searching(settings, run)[0])


def redact(settings: Settings, run: Run) -> Found:
    """Redact journal and pages of an open run; what was redacted, and what is left.

    Raises:
        RecordError: the record is sealed. It is unchanged.
        Busy: a process is at work on the run. The record is unchanged.
    """
    run.require_open()
    run.require_idle()
    seal.clear(run.bag)
    sweep, _ = closing.searching(settings, run)
    if hits := _sorted(run, sweep).redacted:
        aside = _new_folder_aside(run)
        # first the journal: the first screen of each page says what stands there
        _redact_journal(run, sweep, hits, aside)
        for name in sorted({Path(hit.file).stem for hit in hits if hit.file != _JOURNAL}):
            _redact_page(run, sweep, name, aside)
    left = _sorted(run, sweep)
    return Found(hits, left.redacted + left.left)


def _sorted(run: Run, sweep: Sweep) -> Found:
    hits = list(sweep.files(run.bag))
    ours = {hit for hit in hits if hit.line and (hit.file == _JOURNAL or _is_page(run, hit.file))}
    return Found(tuple(h for h in hits if h in ours), tuple(h for h in hits if h not in ours))


def _is_page(run: Run, file: str) -> bool:
    """Whether it is a page, or its HTML, that can be made anew from its notebook."""
    path = run.bag / file
    if path.parent != run.folder or path.suffix not in (".ipynb", ".html"):
        return False
    try:
        pages.read(path.with_suffix(".ipynb"))
    except (OSError, ValueError):
        return False
    return True


def _new_folder_aside(run: Run) -> Path:
    """A new folder among the run's private files: for what is redacted, as it was."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return private.new_folder(run.private / pages.SET_ASIDE / stamp)


def _redact_page(run: Run, sweep: Sweep, name: str, aside: Path) -> None:
    page = pages.read(run.folder / f"{name}.ipynb")
    for path in (run.folder / f"{name}.ipynb", run.folder / f"{name}.html"):
        if path.exists():
            shutil.move(path, aside / path.name)
    gone = pages.redact(run.private, page, sweep.finds)
    pages.put(run.folder, run.private, name, page, gone)


def _redact_journal(run: Run, sweep: Sweep, hits: tuple[Hit, ...], aside: Path) -> None:
    shutil.copy(run.folder / journal.JOURNAL, aside)
    lines = {hit.line for hit in hits if hit.file == _JOURNAL}
    journal.rewrite(
        run.folder,
        lambda number, raw: _without_hits(sweep, raw) if number in lines else raw,
        Event.REDACTED,
        who=getpass.getuser(),
        host=platform.node(),
        places=[[hit.file, hit.line, hit.kind] for hit in hits],
    )


def _without_hits(sweep: Sweep, raw: bytes) -> bytes:
    """A line of the journal without what is found in it."""
    line = journal.parsed(raw)
    if line is None:
        return PUT.encode()
    tried = {name: v if name in _STAYS else _cleaned(sweep, v) for name, v in line.items()}
    if sweep.finds(json.dumps(tried)):  # of several texts together
        tried = {n: v if n in _OURS or _is_plain(v) else PUT for n, v in tried.items()}
    return json.dumps(tried).encode()


def _cleaned(sweep: Sweep, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_cleaned(sweep, key): _cleaned(sweep, held) for key, held in value.items()}
    if isinstance(value, list):
        return [_cleaned(sweep, one) for one in value]
    return PUT if sweep.finds(json.dumps(value)) else value


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, int | float)
