"""Closing a record: its pages are looked at again, every file is searched, and it is sealed."""

from __future__ import annotations

from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport import wording
from nexus_reimport.errors import MappingError, NotClean, NotSaved
from nexus_reimport.events import Event
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.record import by_hand, chain, labels, pages, personal
from nexus_reimport.record.run import Run
from nexus_reimport.record.sweep import Hit, Sweep
from nexus_reimport.settings import Settings

SHOWN = 20  # places, in a message and in the journal


def close(
    settings: Settings, run: Run, known: chain.Link | None = None, *, as_saved: bool = True
) -> str:
    """Close the record of ``run`` for good; its seal. ``known``: the last seal of the database.

    Pages that were stepped through by hand come in as they are saved. Unless ``as_saved``, what is
    not saved is asked for first.

    Raises:
        RecordError: it is sealed already.
        NotSaved: a page was executed and not saved since. The record is open.
        NotClean: it holds what identifies a person. It is open.
        OnlySealed: it is sealed, and could not be signed.
    """
    run.require_open()
    missing = by_hand.unsaved(run)
    if missing and not as_saved:
        raise _not_saved(run, missing)
    if missing:
        run.journal(Event.UNSAVED, pages=list(missing))
    by_hand.collect(run)
    pages.before_seal(run.folder, run.private)
    require_clean(settings, run)
    return run.seal(known, settings.record.signature)


def require_clean(settings: Settings, run: Run) -> None:
    """Search every file of the record for what identifies a person in today's data, and secrets.

    Raises:
        NotClean: there is something, at these places. No value is told.
    """
    mapping = _mapping(settings)
    wanted = personal.of_run(settings, mapping, run)
    hits = list(Sweep(wanted, labels.of_run(settings, mapping, run)).files(run.bag))
    run.journal(
        Event.SWEPT,
        looked_for=wanted.counts(),
        not_read=wanted.missing,
        hits=[[hit.file, hit.line, hit.kind] for hit in hits[:SHOWN]],
        found=len(hits),
    )
    if hits:
        raise _refused(run, hits)


def _mapping(settings: Settings) -> FieldMapping | None:
    """The environment's mapping; None where it cannot be read, and only shapes are known."""
    try:
        return mappings.load(settings.mapping, environments.folder())
    except MappingError:
        return None


def _not_saved(run: Run, missing: tuple[str, ...]) -> NotSaved:
    return NotSaved(
        f"not saved as executed: {wording.some(missing)}",
        where=f"environment {run.environment}, run {run.id}",
        state="the record is open; this does not affect the run's result",
        next="save it in JupyterLab (Ctrl-S), then seal again; or take what is saved:"
        f" nexus-reimport seal {run.environment} --run {run.id} --as-saved",
    )


def _refused(run: Run, hits: list[Hit]) -> NotClean:
    places = wording.lines([str(hit) for hit in hits], shown=SHOWN)
    count = wording.amount(len(hits), "place holds", "places hold")
    return NotClean(
        f"the record of run {run.id} is not sealed: {count} what must not be in a record\n{places}",
        where=str(run.bag),
        state="the record is open, and complete; this does not affect the run's result",
        next="open each place. Is it a person's data: take it out, and report it. Is it a word for"
        f' something else: add labels = ["..."] to {run.environment}.toml. Then:'
        f" nexus-reimport seal {run.environment} --run {run.id}",
    )
