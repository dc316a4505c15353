"""Taking out of an open record what the sweep has found in its journal, values and pages.

A line of the journal keeps its number, time and event; each text in which something was found is
replaced, all later lines are chained anew, and a last line says which were redacted, of which kind,
by whom. Of a stage's value the same is done, once no step reads it any more: a run whose values
were redacted is never executed. All files as they were stay in the run's private folder.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexus_reimport import program
from nexus_reimport.errors import is_of_system
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import closing, journal
from nexus_reimport.record.notebooks import pages
from nexus_reimport.record.run import Run
from nexus_reimport.record.sealed import bag, seal
from nexus_reimport.record.search.sweep import Hit, Sweep
from nexus_reimport.record.verdict import UNFINISHED
from nexus_reimport.settings import Settings

PUT = "[redacted]"
NAMED = 100  # places of one file that the journal names; it counts all
VALUE = ".json"
_JOURNAL = f"{bag.PAYLOAD}/{journal.JOURNAL}"
_STAYS = frozenset({"n", "before", "at", "event"})  # of a line, whatever is in it
# Our own words in a line: replaced only if something is found in them alone.
_OURS = _STAYS | {"stage", "kind", "of", "run", "environment", "hook", "page", "lab", "undoes"}


@dataclass(frozen=True, slots=True)
class Redaction:
    """Where a record holds what must not be in it: what is redacted, what a person must look at."""

    redacted: tuple[Hit, ...]
    left: tuple[Hit, ...]


def look(settings: Settings, run: Run) -> Redaction:
    """What would be redacted, and what would be left for a person; nothing is written."""
    run.require_open()
    return _sorted(run, closing.searching(settings, run)[0])


def redact(settings: Settings, run: Run) -> Redaction:
    """Redact journal, values and pages of an open run; what was redacted, and what is left.

    Raises:
        RecordError: the record is sealed. It is unchanged.
        Busy: a process is at work on the run. The record is unchanged.
    """
    with private.locked_folder(run.bag.parent):  # no step begins under it
        run.require_open()
        run.require_idle()
        return _redact(settings, run)


def _redact(settings: Settings, run: Run) -> Redaction:
    seal.clear(run.bag)
    sweep, _ = closing.searching(settings, run)
    if hits := _sorted(run, sweep).redacted:
        aside = _new_folder_aside(run)
        # first the journal: it says what is done, and the first screen of each page repeats it
        _redact_journal(run, sweep, hits, aside)
        files = {Path(hit.file) for hit in hits if hit.file != _JOURNAL}
        for file in sorted(file for file in files if file.suffix == VALUE):
            _redact_value(run.bag / file, sweep, aside)
        for name in sorted({file.stem for file in files if file.suffix != VALUE}):
            _redact_page(run, sweep, name, aside)
    left = _sorted(run, sweep)
    return Redaction(hits, left.redacted + left.left)


def _sorted(run: Run, sweep: Sweep) -> Redaction:
    hits = list(sweep.files(run.bag))
    # Asked once for each file, which is read for it: one value may have thousands of places.
    files = {hit.file for hit in hits if hit.line}
    ours = {file for file in files if _can_be_redacted(run, file)}
    redacted = tuple(hit for hit in hits if hit.line and hit.file in ours)
    return Redaction(redacted, tuple(hit for hit in hits if not hit.line or hit.file not in ours))


def _can_be_redacted(run: Run, file: str) -> bool:
    return file == _JOURNAL or _is_value(run, file) or _is_page(run, file)


def _is_value(run: Run, file: str) -> bool:
    """Whether it is a value, or another JSON file of the run, that no step reads any more."""
    path = run.bag / file
    is_ours = path.parent == run.folder and path.suffix == VALUE and not path.is_symlink()
    return is_ours and run.verdict() not in UNFINISHED and _read(path) is not None


def _read(path: Path) -> Any:
    """The JSON in a file; None where there is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if is_of_system(error):
            raise
        return None


def values_redacted(run: Run) -> bool:
    """Whether a value of the run is not what its stage gave any more."""
    return any(file.endswith(VALUE) for file in journal.redacted(run.events()))


def _is_page(run: Run, file: str) -> bool:
    """Whether it is a page, or its HTML, that can be made anew from its notebook."""
    path = run.bag / file
    if path.parent != run.folder or path.suffix not in (".ipynb", ".html"):
        return False
    try:
        pages.read(path.with_suffix(".ipynb"))
    except (OSError, ValueError) as error:
        if is_of_system(error):
            raise
        return False
    return True


def _new_folder_aside(run: Run) -> Path:
    """A new folder among the run's private files: for what is redacted, as it was."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return private.new_folder(run.private / pages.SET_ASIDE / stamp)


def _redact_page(run: Run, sweep: Sweep, name: str, aside: Path) -> None:
    page = pages.read(run.folder / f"{name}.ipynb")
    for path in (run.folder / f"{name}.html", run.folder / f"{name}.ipynb"):
        if path.exists():
            shutil.move(path, aside / path.name)
    gone = pages.redact(run.private, page, sweep.finds)
    pages.put(run.folder, run.private, name, page, gone)


def _redact_value(path: Path, sweep: Sweep, aside: Path) -> None:
    shutil.copy(path, aside)
    text = json.dumps(_cleaned(sweep, _read(path)), indent=1)
    if sweep.finds(text):  # it looks otherwise in lines than in one
        text = json.dumps(PUT)
    private.replace(path, text.encode() + b"\n")


def _redact_journal(run: Run, sweep: Sweep, hits: tuple[Hit, ...], aside: Path) -> None:
    shutil.copy(run.folder / journal.JOURNAL, aside)
    lines = {hit.line for hit in hits if hit.file == _JOURNAL}
    journal.rewrite(
        run.folder,
        lambda number, raw: _without_hits(sweep, raw) if number in lines else raw,
        Event.REDACTED,
        who=program.account(),
        host=platform.node(),
        places=_places(hits),
        found=len(hits),
    )


def _places(hits: Iterable[Hit]) -> list[list[Any]]:
    """Where something was taken out, for the journal: of each file the first places."""
    by_file: dict[str, list[Hit]] = {}
    for hit in hits:
        by_file.setdefault(hit.file, []).append(hit)
    named = (hit for those in by_file.values() for hit in those[:NAMED])
    return [[hit.file, hit.line, hit.kind] for hit in named]


def _without_hits(sweep: Sweep, raw: bytes) -> bytes:
    """A line of the journal without what is found in it."""
    line = journal.parsed(raw)
    if line is None:
        return PUT.encode()
    texts = _of_pairs(sweep, {name: v for name, v in line.items() if name not in _STAYS})
    tried = {name: v for name, v in line.items() if name in _STAYS} | texts
    if sweep.finds(json.dumps(tried)):  # of several texts together
        tried = {n: v if n in _OURS or _is_plain(v) else PUT for n, v in tried.items()}
    return json.dumps(tried).encode()


def _cleaned(sweep: Sweep, value: Any) -> Any:
    """The value without what is found in it; its form stays, as far as nothing is found in that."""
    if not sweep.finds(json.dumps(value)):
        return value
    tried: Any = PUT
    if isinstance(value, Mapping):
        tried = _of_pairs(sweep, value)
    elif isinstance(value, list):
        tried = [_cleaned(sweep, one) for one in value]
    # What is found across several texts is in none of them: the whole goes.
    return PUT if sweep.finds(json.dumps(tried)) else tried


def _of_pairs(sweep: Sweep, pairs: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, held in pairs.items():
        name = clean = PUT if sweep.finds(json.dumps(key)) else key
        while name in kept:  # several redacted keys must not become one
            name = f"{clean} {len(kept) + 1}"
        kept[name] = _cleaned(sweep, held)
    return kept


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, int | float)
