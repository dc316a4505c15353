"""Documents, images, batches: linked as planned, and else as they were, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nexus_reimport.checks import Finding, check, one_by_one
from nexus_reimport.checks.after.subject import After, had
from nexus_reimport.files import columns, side_by_side
from nexus_reimport.intake import IdPairs
from nexus_reimport.model import Level
from nexus_reimport.nexus.connection.readings import Unread
from nexus_reimport.planning import attachments
from nexus_reimport.planning.attachments import Placed
from nexus_reimport.text import is_uuid

if TYPE_CHECKING:
    from pyarrow import Table


def _single(after: After) -> Iterable[str]:
    """What holds its own link, as documents do, whatever the mapping calls it."""
    return after.mapping.attached(by_batch=False)


def _in_batches(after: After) -> Iterable[str]:
    """What hangs by a batch, as images do."""
    return after.mapping.attached(by_batch=True)


def _hang_right(after: After, name: str) -> Finding:
    """Every attachment that FileMaker can place hangs on the patient that FileMaker names.

    Worked out afresh from FileMaker's records and Nexus's rows as they are, not from the plan.
    """
    spec = after.mapping.attachments[name]
    owner, was = spec.owner.entity, after.survey.attachment_rows[name]
    owners = IdPairs.read(after.folder, after.plan.id_map, owner)
    known = columns.column(after.folder, was, "key")  # others have come since
    now = columns.read(after.folder, had(after.attachments[name]), ("key", "linked"))
    is_known = columns.values(columns.among(now["key"], known))
    model = after.mapping.entities[owner].model
    wanted_type = str(after.survey.content_types.get(model, "")) if spec.link.content_type else None
    wrong, looked = [], 0
    placed = attachments.place(after.intake, name, had(after.attachments[name]), owners)
    for one, counts in zip(placed, is_known, strict=True):
        if not counts:
            continue
        looked += 1
        if _hangs_wrong(one, wanted_type):
            wrong.append(one.key)
    state, plan = had(after.states[name]), after.plan.links[name]
    linked = columns.count(columns.where(now, linked={"t"})["key"], known)
    if linked != plan.reachable_after or looked != plan.rows:
        wrong.append("count")
    note = (
        f"{state.linked:,} of {state.rows:,} on a live patient, {plan.reachable_before:,} before;"
        f" {state.linked_elsewhere:,} on something else, {state.dangling + state.unlinked:,} on"
        f" nothing"
    )
    return Finding(max(1, looked), wrong, note=note)


def _hangs_wrong(one: Placed, wanted_type: str | None) -> bool:
    """Whether one does not hang on the owner that FileMaker names, nor on something else.

    What is in no batch can hang on nothing.
    """
    if not one.link_key:
        return False
    if one.owner is None or one.content_type == wanted_type:
        return one.owner not in (None, one.object)
    is_typed_wrong = one.object == one.owner and is_uuid(one.owner)
    return one.content_type is None or is_typed_wrong


@check(After, Level.STOP, serves=("A5", "R4", "R6", "K3"), links=True)
@one_by_one(_single)
def every_document_hangs_on_its_patient(after: After, name: str) -> Finding:
    """Every document that FileMaker can place hangs on the patient that FileMaker names."""
    return _hang_right(after, name)


@check(After, Level.STOP, serves=("A6", "R5", "R6", "K4", "K5"), links=True)
@one_by_one(_in_batches)
def every_image_hangs_on_its_patient(after: After, name: str) -> Finding:
    """Every image that FileMaker can place hangs, by its batch, on the patient it names."""
    return _hang_right(after, name)


@check(After, Level.STOP, serves=("K3", "K4", "K5", "R6"), links=True)
def every_linking_row_is_as_planned(after: After) -> Finding:
    """Every row of documents, images and batches is linked as planned, and else what it was.

    By its own id and in all columns, also where FileMaker does not know the row. What FileMaker
    says of it is not asked here: only what was there, and what the plan changes of it.
    """
    looked, off = 0, []
    for table in after.mapping.linking_tables():
        now = after.linking[table]
        if isinstance(now, Unread):
            off.append(now.why)
            continue
        walked = after.once(_walked, table)
        looked += walked.held
        off += walked.wrong
    empty = "" if _held_rows(after) else "no row was there before the run"
    return Finding(looked or len(off), off, empty=empty)


@check(After, Level.REVIEW, serves=("K3", "K4", "K5"), links=True)
def no_linking_row_was_added(after: After) -> Finding:
    """Since the survey nobody has added a document, an image or a batch: the run adds none."""
    walked = [after.once(_walked, table) for table in after.mapping.linking_tables()]
    looked = sum(one.held + len(one.added) for one in walked)
    off = [line for one in walked for line in one.added]
    return Finding(looked, off, empty="" if looked else "there is no row")


@dataclass(frozen=True, slots=True)
class _Walked:
    """The rows of one linking table: how many were there, what is wrong, what was added."""

    held: int
    wrong: tuple[str, ...]
    added: tuple[str, ...]


def _walked(after: After, table: str) -> _Walked:
    """Every row of a linking table, once for all checks.

    It must be as it was, with the link that the plan gives it.
    """
    file, key = after.survey.linking[table], after.survey.linking_keys[table]
    now, planned = had(after.linking[table]), _planned_links(after, table)
    gone = [c for c in file.columns if c not in now.columns]
    rows = side_by_side.of(after.folder, file, now, key)
    wrong = [f"{table}: there is no column {column}" for column in gone]
    wrong += [f"{table} {row_key} is gone" for row_key in rows.gone]
    wrong += [f"{table} {row_key} is there twice" for row_key in rows.again]
    names = [c for c in file.columns if c in now.columns]
    for was, is_now in rows.batches():
        wanted = was
        for links in planned:
            wanted = side_by_side.with_values(wanted, key, links)
        for row_key, then, row in side_by_side.what_differs(wanted, is_now, key, names):
            changed = [c for c in then if row[c] != then[c]]
            wrong.append(f"{table} {row_key}: {', '.join(changed)}")
    added = tuple(f"{table} {row_key}" for row_key in rows.added)
    return _Walked(file.rows, tuple(wrong), added)


def _held_rows(after: After) -> int:
    return sum(file.rows for file in after.survey.linking.values())


def _planned_links(after: After, table: str) -> list[Table]:
    """Of the links that the plan fixes: the key, and what it puts into the columns of the link."""
    links = []
    for name, plan in after.plan.links.items():
        link = after.mapping.attachments[name].link
        if plan.table == table:
            key, linked, content_type = attachments.LINK_COLUMNS
            columns_of = {key: key, linked: link.object}
            if link.content_type:
                columns_of[content_type] = link.content_type
            held = columns.read(after.folder, plan.file, tuple(columns_of))
            links.append(held.rename_columns(list(columns_of.values())))
    return links
