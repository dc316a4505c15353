"""The verification: everything is read afresh, and the checks after are asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from nexus_reimport import application, checks, progress
from nexus_reimport.checks import bucket
from nexus_reimport.checks.after import After
from nexus_reimport.errors import COMMITTED_BEFORE, ApplicationError
from nexus_reimport.model import Report, Scope
from nexus_reimport.nexus.connection import session, waiters
from nexus_reimport.nexus.connection.postgres import Connection, roll_back
from nexus_reimport.nexus.connection.readings import Unread
from nexus_reimport.nexus.reading.questions import Asked, Shown
from nexus_reimport.settings import Settings
from nexus_reimport.stages.verify.expected import Copy, Expected, Storage
from nexus_reimport.stages.verify.listing import listing
from nexus_reimport.stages.verify.reader import Reader

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column

_PARTS = {  # what is read -> as people call it
    "now": "rows",
    "attachments": "documents and images",
    "states": "links of documents and images",
    "linking": "linking tables",
    "fingerprints": "tables that nothing was written to",
    "hashes": "their rows",
    "own": "undo data and our own tables",
    "schema_changes": "schema",
    "positions": "sequences",
    "answers": "what Nexus asks its database",
    "shown": "what the screens show",
    "next_keys": "next keys",
}
_AFTERWARDS = ("files in S3", "files in S3, in full", "Nexus's API", "checks")


def run(
    settings: Settings,
    expected: Expected,
    storage: Storage,
    *,
    today: date,
    copy: Copy | None = None,
) -> Report:
    """The report of every check after, on a fresh connection.

    What is not there, or is not what it was, is the finding of a check; the others are still asked.
    On a ``copy`` of the database ``storage`` may be ``untouched``.

    Raises:
        TargetError, StorageError: the database or S3 did not answer. The data is committed; run
            again.
    """
    steps = _steps()
    after = gather(settings, expected, storage, copy=copy, steps=steps)
    only_links = expected.plan.scope is Scope.RELINK
    with steps.step(_AFTERWARDS[-1]):
        return checks.run(
            after,
            settings.waivers,
            today=today,
            only_links=only_links,
            goes_on=True,
            memo=copy.memo if copy else None,
        )


def _steps() -> progress.Steps:
    return progress.Steps(len(_PARTS) + len(_AFTERWARDS))


def gather(
    settings: Settings,
    expected: Expected,
    storage: Storage,
    *,
    copy: Copy | None = None,
    steps: progress.Steps | None = None,
) -> After:
    """What the checks after look at, read afresh; ``steps`` tells each part."""
    steps = steps or _steps()
    listed, read, asked, _ = _AFTERWARDS
    with _opened(settings, copy) as connection:
        session.set_for_transaction(connection)  # the settings of the transaction that wrote
        asks_api = settings.application if copy is None else None
        reader = Reader(connection, expected, asks_api, copy)
        # Begun by the first query of the snapshot: a file that a row names is there before the row.
        with listing(storage.list) as objects:
            for part in reader.parts():
                with steps.step(_PARTS[part]):
                    reader.read(part)
    # S3 takes longest: by now the database's snapshot is not held any more.
    readings = dict(reader.found)
    with steps.step(listed):
        readings["census_now"] = objects.result()
    with steps.step(read):
        readings["sample_now"] = storage.read()
    with steps.step(asked):
        readings["api"] = _ask_api(settings, readings["shown"])
    named = copy.memo.of(_named, expected) if copy and copy.memo else _named(expected)
    known = expected.intake, expected.plan, expected.census, expected.claim, named
    return After(*known, sample=expected.sample, **readings)


def _named(expected: Expected) -> Column:
    """The objects that rows named before the run."""
    return bucket.named(expected.intake, expected.census)


@contextmanager
def _opened(settings: Settings, copy: Copy | None) -> Iterator[Connection]:
    """A connection that sees one moment of the database, or of its copy."""
    if copy and copy.transaction:
        yield copy.transaction
        return
    place = copy.place if copy else settings.postgres
    with waiters.reading(place, COMMITTED_BEFORE) as connection:
        connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection
        roll_back(connection)


def _ask_api(
    settings: Settings, shown: tuple[Asked, Shown] | Unread | None
) -> Shown | Unread | None:
    """What Nexus's own API shows; why it does not, where it cannot be asked."""
    if settings.application is None or not isinstance(shown, tuple):
        return shown if isinstance(shown, Unread) else None
    try:
        with application.opened(settings.application) as api:
            return application.ask(api, shown[0])
    except ApplicationError as error:
        return Unread(f"{error.what} at {error.where}: {error.next}; then run 03_verify again")
