"""Closing a record: its pages are looked at again, every file is searched, and it is sealed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport import wording
from nexus_reimport.errors import MappingError, NotClean, NotSaved
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.record import lab_pages
from nexus_reimport.record.notebooks import pages
from nexus_reimport.record.run import Run
from nexus_reimport.record.sealed import bag, chain, seal
from nexus_reimport.record.search import labels, personal
from nexus_reimport.record.search.harmless import Harmless
from nexus_reimport.record.search.identifiers import Identifiers, Kind
from nexus_reimport.record.search.sweep import Hit, Sweep
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
        Busy: a process is at work on the run. The record is open.
        NotSaved: a page was executed and not saved since. The record is open.
        NotClean: it holds what identifies a person. It is open.
        OnlySealed: it is sealed, and could not be signed.
    """
    with private.locked_folder(run.bag.parent):  # two at once would clear each other's files
        run.require_open()
        run.require_idle()
        return _close(settings, run, known, as_saved=as_saved)


def _close(settings: Settings, run: Run, known: chain.Link | None, *, as_saved: bool) -> str:
    seal.clear(run.bag)
    missing = lab_pages.unsaved(run)
    if missing and not as_saved:
        raise _not_saved(run, missing)
    if missing:
        run.journal(Event.UNSAVED, pages=list(missing))
    lab_pages.collect(run)
    pages.before_seal(run.folder, run.private)
    _require_names(run)
    sweep = require_clean(settings, run)
    return run.seal(known, settings.record.signature, lambda: require_rest_clean(run, sweep))


def _require_names(run: Run) -> None:
    """Stop at a file that somebody has put into the record under a name that no bag can hold.

    Sealed with it, the record would be wrong for ever, by the reference library of the standard.
    """
    if names := bag.misread(run.bag):
        count = wording.amount(len(names), "file has", "files have")
        listed = wording.lines([wording.name_of_file(name) for name in names], shown=SHOWN)
        raise NotClean(
            f"the record of run {run.id} is not sealed: {count} a name that a record cannot"
            f" hold\n{listed}",
            where=str(run.bag),
            state="the record is open, and complete; this does not affect the run's result",
            next="rename it to letters and digits, or move it to"
            f" {run.private}; then: nexus-reimport seal {run.environment} --run {run.id}",
        )


def require_clean(settings: Settings, run: Run) -> Sweep:
    """Search every file of the record for what identifies a person in today's data, and secrets.

    Gives what was looked for, and in which files.

    Raises:
        NotClean: there is something, at these places. No value is told.
    """
    sweep, wanted = searching(settings, run)
    hits = list(sweep.files(run.bag))
    _journal(run, hits, looked_for=wanted.counts(), not_read=wanted.missing)
    if hits:
        raise _refused(run, hits)
    return sweep


def searching(settings: Settings, run: Run) -> tuple[Sweep, Identifiers]:
    """The search for what identifies a person in today's data, and secrets; what it looks for."""
    mapping = _mapping(settings)
    wanted = personal.of_run(settings, mapping, run)
    return Sweep(wanted, partial(labels.of_run, settings, mapping, run)), wanted


def naming_a_person(settings: Settings, written: Iterable[tuple[str, str]]) -> list[bool]:
    """For each signer and what they have written: whether it identifies a patient of today's data.

    The signer's own name is none, whoever else is called so; a number or a date is no name. It is
    compared with what the newest run has read; where that is not there any more, secrets alone are
    known. To know all of it takes seconds for a whole clinic: it is done once, and not again for
    the same words.
    """
    pairs = list(written)
    secrets = Sweep(personal.secrets(settings))
    telling = {pair for pair in pairs if _identify(secrets, pair)}
    with_words = {pair for pair in pairs if any(pair)}
    newest = personal.newest(settings) if with_words else None
    if newest is not None:
        harmless = Harmless(settings, _mapping(settings), newest)
        # Secrets are not remembered: there may be others since.
        if unknown := {pair for pair in with_words if pair not in harmless}:
            sweep, wanted = searching(settings, newest)
            telling |= {pair for pair in unknown if _identify(sweep, pair)}
            if not wanted.missing:
                harmless.add(unknown - telling)
    return [pair in telling for pair in pairs]


def _identify(sweep: Sweep, words: tuple[str, str]) -> bool:
    """Whether a signer, by more than a name, or what they have written identifies somebody."""
    signer, text = words[0].encode(), words[1]
    kinds = {hit.kind for hit in sweep.text(signer, "")}
    return bool(kinds - {Kind.NAME}) or sweep.beside(signer).finds(text)


def require_rest_clean(run: Run, sweep: Sweep) -> None:
    """Search what the seal itself has written, and whatever else has changed since ``sweep``.

    Of a signature nothing is searched: it is in base64, and ssh-keygen makes it of hashes.

    Raises:
        NotClean: there is something. The seal is given up, and the record is open.
    """
    sweep.know_sizes(run.folder)
    if hits := list(sweep.files(run.bag, bag.SIGNATURE)):
        _journal(run, hits)
        raise _refused(run, hits)


def _journal(run: Run, hits: list[Hit], **facts: object) -> None:
    places = [[hit.file, hit.line, hit.kind] for hit in hits[:SHOWN]]
    run.journal(Event.SWEPT, **facts, hits=places, found=len(hits))


def _mapping(settings: Settings) -> FieldMapping | None:
    """The environment's mapping; None where it cannot be read, and only shapes are known."""
    try:
        return mappings.load(settings.mapping, environments.folder())
    except MappingError:
        return None


def _not_saved(run: Run, missing: tuple[str, ...]) -> NotSaved:
    return NotSaved(
        f"executed again after it was last saved: {wording.some(missing)}",
        where=run.where,
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
        next='open each place. Is it a word for something else: add labels = ["..."] to'
        f" {run.environment}.toml. Is it a person's data: report it, and take it out of journal,"
        f" values and pages with: nexus-reimport record redact {run.environment} --run {run.id};"
        f" any other file move to {run.private}. Then: nexus-reimport seal {run.environment}"
        f" --run {run.id}",
    )
