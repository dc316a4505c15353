"""Our own tables: the run's row, what was loaded, and the undo data, by which a run is undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from datetime import UTC, datetime, timedelta
from typing import Any

from nexus_reimport import strict_json, wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.after.subject import After, had, kept
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.model import Level, Scope
from nexus_reimport.nexus.connection.readings import Unread
from nexus_reimport.nexus.registry import (
    AS_MADE,
    OWN_SCHEMA,
    TABLE,
    Committed,
    OwnObject,
    UndoLinks,
    described,
    tables_of,
    written,
)
from nexus_reimport.nexus.structure.fingerprint import Fingerprint

_HOURS = 12
_CLOCKS = timedelta(hours=_HOURS)  # by which the server's clock and ours may differ at most


@check(After, Level.STOP, serves=("M1", "S6"), waivable=False, links=True)
def the_run_is_written_down_in_the_database(after: After) -> Finding:
    """The database holds this run's row as it was committed, and every earlier run's unchanged.

    What all checks compare with is what was approved: plan, snapshot, schema, and both states.
    """
    run, rows = after.claim.run, had(after.own.rows)
    ours = [row for row in rows if row["run"] == run]
    off = [f"{run} has {wording.amount(len(ours), 'row')}"] if len(ours) != 1 else []
    was = {name: row for name, *row in rowfile.read(after.folder, kept(after.survey.runs))}
    off += after.claim.edited
    for row in ours[:1]:
        off += [f"{run}: {column}" for column in _not_as_written(after, row, was.keys())]
    now = [row for row in rowfile.read(after.folder, had(after.own.runs)) if row[0] != run]
    names = {row[0] for row in now}
    for name, digest, number in now:
        if name in was and _is_another(was[name], [digest, number]):
            off.append(f"{name} is changed")
    off += [f"{name} is gone" for name in was.keys() - names]
    off += [f"{name} was not there" for name in names - was.keys()]
    if len(now) != len(names):
        off.append("a run has two rows")
    return Finding(max(1, len(rows)), off)


def _is_another(was: list[str | None], now: list[str | None]) -> bool:
    """Whether the row of an earlier run differs; a number that it had not may have come since."""
    return was[0] != now[0] or (was[1] is not None and was[1] != now[1])


def _not_as_written(after: After, row: Mapping[str, Any], known: Set[str | None]) -> Iterator[str]:
    """The columns of the run's row that do not hold what was approved and done.

    ``known`` are the runs that the survey saw.
    """
    wanted = written(
        Committed(
            run=after.claim.run,
            environment=after.claim.environment,
            kind=str(after.plan.scope),
            digest=after.claim.digest,
            approved_by=after.claim.approved_by,
            before=dict(after.plan.before),
            after=dict(after.claim.after),
            undo=had(after.own.undo),
            undone_by="",
            committed_at=datetime.now(UTC),
            seal="",
        )
    )
    for column, value in {**wanted, "undone_by": ""}.items():
        if not strict_json.same_documents(row[column], value):
            yield column
    at = datetime.fromisoformat(row["committed_at"])
    others = [r for r in had(after.own.rows) if r["run"] != row["run"]]
    following = max((r["number"] or 0 for r in others), default=0) + 1
    # Only where every run that was known is still there: the number counts on from those.
    if known <= {r["run"] for r in others} and row["number"] != following:
        yield "number"
    # Not beside the times of other runs: their order is the number, since a clock may go back.
    if written_at := after.claim.committed_at:
        if row["committed_at"] != written_at:
            yield "committed_at"
    elif not after.survey.taken_at - _CLOCKS < at < datetime.now(UTC) + _CLOCKS:
        yield f"committed_at: {_HOURS} hours and more off this machine's clock"


@check(After, Level.STOP, serves=("M1", "S6"), links=True)
def our_own_tables_are_as_we_make_them(after: After) -> Finding:
    """Our own schemas hold our tables, as they were made, nothing that acts by itself, no other."""
    objects, off = had(after.own.objects), []
    earlier = _undo_of_others(after)
    for own_object in objects:
        wrongs = _not_as_made(after, own_object, earlier)
        off += [f"{own_object.place}: {wrong}" for wrong in wrongs]
    if had(after.own.marker) != after.claim.environment:
        off.append("the marker names another environment")
    return Finding(max(1, len(objects)), off)


def _undo_of_others(after: After) -> dict[str, Set[str] | None]:
    """The schemas of earlier runs' undo data: which tables each may have, None if nobody knows.

    Nobody does where no run's row describes them; that a row was changed, another check finds.
    """
    known = {} if isinstance(after.own.rows, Unread) else described(after.own.rows)
    return {
        one.schema: tables_of(known[one.schema]) if one.schema in known else None
        for one in after.survey.undo
    }


def _not_as_made(
    after: After, own_object: OwnObject, earlier: Mapping[str, Set[str] | None]
) -> Iterator[str]:
    undo = had(after.own.undo)
    if not own_object.name:
        if own_object.schema not in {OWN_SCHEMA, undo.schema, *earlier}:
            yield "a schema of no run"
        return
    is_ours = own_object.schema == OWN_SCHEMA and own_object.place in AS_MADE
    is_of_undo = own_object.schema == undo.schema and own_object.name in tables_of(undo)
    is_other = own_object.schema not in (OWN_SCHEMA, undo.schema)
    names = earlier.get(own_object.schema)
    is_earlier = is_other and (names is None or own_object.name in names)
    if own_object.kind != TABLE or not (is_ours or is_of_undo or is_earlier):
        yield f"somebody else's {own_object.kind}"
        return
    if own_object.acts:
        yield own_object.acts
    if is_ours:
        columns, constraints = AS_MADE[own_object.place]
        yield from _differences("column", own_object.columns, columns)
    else:
        constraints = ()
    yield from _differences("constraint", own_object.constraints, constraints)


def _differences(what: str, now: tuple[str, ...], as_made: tuple[str, ...]) -> Iterator[str]:
    yield from (f"not ours: {what} {one}" for one in now if one not in as_made)
    yield from (f"missing: {what} {one}" for one in as_made if one not in now)


@check(After, Level.REVIEW, serves=("S6",), links=True)
def nobody_else_may_use_our_own_tables(after: After) -> Finding:
    """Nobody but our role owns or may use our own tables, which hold patients' rows."""
    objects = had(after.own.objects)
    off = [f"{one.place}: {one.readers}" for one in objects if one.readers]
    return Finding(max(1, len(objects)), off)


@check(After, Level.STOP, serves=("R2", "R3", "M2"), waivable=False, links=True)
def what_was_loaded_is_remembered(after: After) -> Finding:
    """The database remembers which record became which row, exactly as the plan says."""
    reimports = after.plan.scope is Scope.REIMPORT  # to re-link alone loads nothing
    now, wanted = had(after.own.loaded), after.plan.id_map if reimports else after.survey.id_map
    if now.sha256 == wanted.sha256:
        return Finding(max(1, wanted.rows))
    remembered, planned = (set(rowfile.read(after.folder, file)) for file in (now, wanted))
    off = [f"{entity} {filemaker_id}" for entity, filemaker_id, _ in remembered ^ planned]
    return Finding(max(1, wanted.rows), off or ["the order of the lines"])


@check(After, Level.STOP, serves=("M1", "S6"), waivable=False, links=True)
def the_undo_data_is_whole(after: After) -> Finding:
    """The undo data of the run holds what was there before it, and what it has left."""
    own, undo = after.own, had(after.own.undo)
    kept = _differing(own.before, after.plan.before)
    off = [f"{table}, as kept from before the run: {difference}" for table, difference in kept]
    left = _differing(own.after, after.claim.after)
    off += [f"{table}, as the run has left it: {difference}" for table, difference in left]
    off += _of_other_rows(after)
    for part in undo.links:
        links = own.links[part.attachment]
        difference = (
            links.why if isinstance(links, Unread) else _wrong_links(after, part.attachment, links)
        )
        if difference:
            off.append(f"links of {part.attachment}, as kept from before the run: {difference}")
    if after.plan.scope is Scope.REIMPORT:
        off += _wrong_pointers(after)
        if had(own.loaded_before).sha256 != after.survey.id_map.sha256:
            off.append("what was loaded before the run is not what it was")
    return Finding(len(own.before) + len(own.after) + len(undo.links), off)


def _differing(
    prints: Mapping[str, Fingerprint | Unread], wanted: Mapping[str, Fingerprint]
) -> Iterator[tuple[str, str]]:
    """The tables whose kept rows are not the ones of the run, and how many rows there are."""
    for table, now in prints.items():
        then = wanted[table]
        if isinstance(now, Unread):
            yield table, now.why
        elif now != then:
            same = ", other content" if now.rows == then.rows else ""
            yield table, f"{wording.amount(now.rows, 'row')}, must be {then.rows:,}{same}"


def _of_other_rows(after: After) -> Iterator[str]:
    """The tables of which the hashes that the run has left are not each of a row of its own.

    A row that was deleted since is known to the plan; one that its rows lack, to the table, or to
    what the plan says was loaded.
    """
    entities = after.mapping.wiped_tables()
    loaded = {key for _, _, key in rowfile.read(after.folder, after.plan.id_map)}
    for part in had(after.own.undo).parts:
        keys = after.own.keys_after[part.table]
        if isinstance(keys, Unread):
            continue  # so are the hashes, and that is told
        if isinstance(part, UndoLinks):
            files = [after.survey.linking[part.table], after.linking[part.table]]
        else:
            entity = entities[part.table]
            files = [after.plan.entities[entity].file, after.now[entity]]
        rows = loaded | {
            row[part.key]
            for file in files
            if not isinstance(file, Unread)
            for row in rowfile.read_columns(after.folder, file, (part.key,))
        }
        left = Counter(key for (key,) in rowfile.read(after.folder, keys))
        if strange := sum(count > 1 or key not in rows for key, count in left.items()):
            lines = wording.amount(strange, "hash is", "hashes are")
            yield f"{part.table}, as the run has left it: {lines} of no row, or of one twice"


def _wrong_links(after: After, attachment: str, kept: RowFile | Unread) -> str:
    """What is wrong with the links that were kept; "" where they are what the survey saw."""
    if isinstance(kept, Unread):
        return kept.why
    plan = after.plan.links[attachment]
    fixed = {key for key, _, _ in rowfile.read(after.folder, plan.file)}
    was = after.survey.linking[plan.table]
    places = [was.columns.index(column) for column in kept.columns]
    rows = (tuple(row[n] for n in places) for row in rowfile.read(after.folder, was))
    wanted = {row for row in rows if row[0] in fixed}
    links = list(rowfile.read(after.folder, kept))
    if set(links) == wanted and len(links) == len(wanted):
        return ""
    lost = wording.amount(len(wanted - set(links)), "is", "are")
    return f"{wording.amount(len(links), 'link')}, must be {len(wanted):,}; {lost} lost"


def _wrong_pointers(after: After) -> list[str]:
    """Whether what pointed at the run's rows is still written down as it is."""
    kept, now = had(after.own.pointers)
    if kept == now:
        return []
    difference = f"{wording.amount(len(now - kept), 'line')} lost, {len(kept - now):,} too many"
    return [f"what pointed at the run's rows: {difference}"]
