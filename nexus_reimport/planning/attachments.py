"""Documents and images: the owner that FileMaker names for each, and the links to be fixed.

An attachment is found in FileMaker by its id, or by the number in its file's key: imported images
have no FileMaker id. Its owner is the row of the record that FileMaker names. An earlier import
took the document's own id for the owner's, and did not find 10,160 of them. Only wrong links are
written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nexus_reimport import ids
from nexus_reimport.files import columns, rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.files.spool import Spool
from nexus_reimport.intake import IdPairs, Intake
from nexus_reimport.mapping import Attachment
from nexus_reimport.model import KEY, LinkPlan, Outcome
from nexus_reimport.text import is_uuid

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column

LINK_COLUMNS = ("key", "object", "content_type")
IN_NO_BATCH = "in no batch, so that nothing holds its link"
UNPLACED_COLUMNS = ("attachment", "nexus_id", "why", "linked_to", "object")


@dataclass(frozen=True, slots=True)
class OwnerRows:
    """The rows of an entity that can own documents: ids before, ids after, and by FileMaker id."""

    before: frozenset[str]
    after: frozenset[str]
    pairs: IdPairs  # of those after


@dataclass(frozen=True, slots=True)
class Owners:
    """The ids of possible owners before and after the run."""

    before: frozenset[str]
    after: frozenset[str]
    content_type: int | None
    live_elsewhere: Mapping[str, frozenset[str]]  # other content types -> ids after
    names: Mapping[str, str]  # content types -> ``app_label.model``


class Placed(NamedTuple):
    """One attachment, its link, and its owner by FileMaker."""

    key: str
    link_key: str  # "" if no row holds its link: an image of no batch
    object: str | None
    content_type: str | None
    known: bool  # FileMaker has the record
    filemaker_owner: str  # the owner that FileMaker names, as ids compare; "" if it names none
    owner: str | None  # the Nexus id of that owner


def place(intake: Intake, name: str, file: RowFile, owners: IdPairs) -> Iterator[Placed]:
    """Every attachment of Nexus with the owner that FileMaker names.

    ``file`` has the attachments before or after a run.
    """
    filemaker_owners = _identified(intake, intake.mapping.attachments[name], file).owners
    keys = columns.looked_up(filemaker_owners, owners.compared, owners.keys)
    rows = rowfile.read_dicts(intake.folder, file)
    both = zip(columns.values(filemaker_owners), columns.values(keys), strict=True)
    for row, (owner, key) in zip(rows, both, strict=True):
        yield Placed(
            key=row["key"] or "",
            link_key=row["link_key"] or "",
            object=row["object"],
            content_type=row["content_type"],
            known=owner is not None,
            filemaker_owner=owner or "",
            owner=key,
        )


class _Identified(NamedTuple):
    """What identifies each attachment in FileMaker, as ids compare."""

    owners: Column  # their FileMaker ids; "" if the record names none, null if no record exists
    values: list[Column]  # of each rule; null if a row has none
    by_field: Mapping[str, Column]  # of each record; null where it identifies no owner


def _identified(intake: Intake, spec: Attachment, file: RowFile) -> _Identified:
    """What identifies each row of ``file``.

    A row whose values are of two owners, such as the id of one patient's image and the file of
    another's, identifies nothing: neither is more likely.
    """
    by_field = _by_field(intake, spec)
    owners, of_rules, several = columns.nothing(file.rows), [], []
    for number, identity in enumerate(spec.identity):
        held = columns.column(intake.folder, file, f"identity:{number}:{identity.column}")
        parts = (_part(identity.pattern, value) for value in columns.texts(held))
        values = columns.of(ids.of(part).compared or None for part in parts)
        named = columns.looked_up(values, *by_field[identity.field])
        owners = columns.first(owners, named)
        of_rules.append(values)
        several.append(columns.differ(owners, named))
    return _Identified(
        columns.unless_any(owners, several),
        [columns.unless_any(values, several) for values in of_rules],
        {field: alone for field, (alone, _) in by_field.items()},
    )


def _by_field(intake: Intake, spec: Attachment) -> dict[str, tuple[Column, Column]]:
    """field -> its values, and beside each the owner's FileMaker id.

    A value that records of several owners share identifies no owner: the attachment is treated
    as unknown to FileMaker, and its link stays as it is.
    """
    owners = intake.ids_in(spec.source, spec.owner.field)
    by_field = {}
    for field in {i.field for i in spec.identity}:
        values = intake.ids_in(spec.source, field)
        shared = columns.of_several(values, owners)
        alone = columns.unless(values, shared)
        by_field[field] = alone, owners
    return by_field


def outcomes(
    intake: Intake, name: str, owners: IdPairs, stays: Mapping[str, str]
) -> Iterator[tuple[str, Outcome, str, str | None]]:
    """Of each record of FileMaker: its id, outcome, rule, and the attachment's key.

    ``stays`` says of attachments why they stay linked to something else than their owner.
    """
    spec = intake.mapping.attachments[name]
    file = intake.snapshot.extracts[spec.source].file
    filemaker_ids = columns.texts(columns.column(intake.folder, file, KEY))
    keys = columns.values(_keys(intake, name, spec))
    are_loaded = columns.among(intake.ids_in(spec.source, spec.owner.field), owners.compared)
    each = zip(filemaker_ids, keys, columns.values(are_loaded), strict=True)
    for filemaker_id, key, is_loaded in each:
        if key is None:
            yield filemaker_id, Outcome.LEFT_OUT, "not_in_nexus", None
        elif not is_loaded:
            yield filemaker_id, Outcome.LEFT_OUT, "owner_not_loaded", key
        else:
            yield filemaker_id, Outcome.LINKED, stays.get(key, ""), key


def _keys(intake: Intake, name: str, spec: Attachment) -> Column:
    """Of each record the key of the attachment that it identifies; null if it is none."""
    file = intake.survey.attachment_rows[name]
    keys = columns.column(intake.folder, file, "key")
    identified = _identified(intake, spec, file)
    of_rows = identified.values
    keys_of_records = columns.nothing(intake.snapshot.extracts[spec.source].rows)
    for field in dict.fromkeys(i.field for i in spec.identity):
        those = [of_rows[n] for n, i in enumerate(spec.identity) if i.field == field]
        # Of rows that share a value the first counts.
        values, several = columns.in_turn(those), columns.in_turn([keys] * len(those))
        named = columns.looked_up(identified.by_field[field], values, several)
        keys_of_records = columns.first(keys_of_records, named)
    return keys_of_records


def _part(pattern: str, value: str) -> str:
    if not pattern:
        return value
    match = re.search(pattern, value)
    return match[1] if match else ""


def named(intake: Intake) -> set[str]:
    """The ids at which documents and images point by a link that names a content type as well."""
    generic = [n for n, spec in intake.mapping.attachments.items() if spec.link.content_type]
    return {
        row["object"]
        for name in generic
        for row in rowfile.read_columns(
            intake.folder, intake.survey.attachment_rows[name], ("object",)
        )
        if row["object"]
    }


def plan_all(
    intake: Intake, rows: Mapping[str, OwnerRows]
) -> tuple[dict[str, LinkPlan], dict[str, dict[str, str]]]:
    """The links to be fixed, for every kind of attachment; ``rows`` are those of each entity.

    And for every kind the keys of those whose link stays although it is not to their owner: why.
    """
    mapping, survey = intake.mapping, intake.survey
    types = {
        # As text: row files hold PostgreSQL's text, with which this is compared.
        str(survey.content_types[spec.model]): rows[name].after
        for name, spec in mapping.entities.items()
        if spec.model in survey.content_types
    }
    plans: dict[str, LinkPlan] = {}
    stays: dict[str, dict[str, str]] = {}
    for name, spec in mapping.attachments.items():
        owner = spec.owner.entity
        generic = bool(spec.link.content_type)
        owners = Owners(
            before=rows[owner].before,
            after=rows[owner].after,
            content_type=(
                survey.content_types.get(mapping.entities[owner].model) if generic else None
            ),
            live_elsewhere=types,
            names={str(number): model for model, number in survey.content_types.items()},
        )
        placed = place(intake, name, survey.attachment_rows[name], rows[owner].pairs)
        stays[name] = {}
        plans[name] = plan(name, spec, placed, owners, intake.folder, stays[name])
    return plans, stays


def plan(
    name: str,
    spec: Attachment,
    placed: Iterable[Placed],
    owners: Owners,
    folder: Path,
    stays: dict[str, str],
) -> LinkPlan:
    """The links to be fixed, and their row file: key of the linking row, object, type.

    What stays linked to something else than its owner comes into ``stays``: key -> why. Another row
    file lists what hangs on something else, and what FileMaker gives no owner.
    """
    fixed: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    split_groups, lost = list[str](), list[str]()
    content_type = "" if owners.content_type is None else str(owners.content_type)
    with (
        rowfile.writer(folder / f"links_{name}.parquet", LINK_COLUMNS) as out,
        rowfile.writer(folder / f"unplaced_{name}.parquet", UNPLACED_COLUMNS) as unplaced,
    ):
        for link_key, members in _groups(placed, folder):
            targets = sorted({m.owner for m in members if m.owner})
            linked = _linked(members[0], owners)
            target = targets[0] if len(targets) == 1 and link_key else None
            if link_key and _is_torn(members, target, linked):
                split_groups.append(link_key)
                target = None
            why = _why(linked, target, members[0].object)
            if why:
                fixed[why] += 1
                out.add((link_key, target, content_type))
            final = target if why else members[0].object if linked == "owner" else None
            after = (target, content_type) if why else (members[0].object, members[0].content_type)
            for line in _unplaced(name, members, linked, after, owners):
                unplaced.add(line)
            stays |= {
                m.key: _why_it_stays(linked, m) for m in members if m.owner and m.owner != final
            }
            counts["rows"] += len(members)
            counts["placed"] += sum(m.owner is not None for m in members)
            counts["owner_unknown"] += sum(m.known and m.owner is None for m in members)
            counts["not_in_filemaker"] += sum(not m.known for m in members)
            was_reachable = _is_of_owner(members[0], owners) and members[0].object in owners.before
            counts["reachable_before"] += len(members) * was_reachable
            counts["reachable_after"] += len(members) * (final in owners.after)
            if was_reachable and final not in owners.after:
                lost += [m.key for m in members]
            counts["elsewhere"] += len(members) * (linked == "elsewhere")
            counts["right_already"] += len(members) * (
                linked == "owner" and members[0].object == target
            )
    return LinkPlan(
        attachment=name,
        table=spec.link_table,
        file=out.done(),
        rows=counts["rows"],
        placed=counts["placed"],
        right_already=counts["right_already"],
        fixed=dict(sorted(fixed.items())),
        elsewhere=counts["elsewhere"],
        owner_unknown=counts["owner_unknown"],
        not_in_filemaker=counts["not_in_filemaker"],
        reachable_before=counts["reachable_before"],
        reachable_after=counts["reachable_after"],
        split_groups=tuple(split_groups),
        lost=tuple(lost),
        unplaced=unplaced.done(),
    )


def _groups(placed: Iterable[Placed], folder: Path) -> Iterator[tuple[str, list[Placed]]]:
    """The attachments of each link, in the order of the links' keys; of one link as they came."""
    spool: Spool[tuple[Any, ...]] = Spool(folder)

    def set_aside() -> Iterator[str]:
        for attachment in placed:
            spool.add(tuple(attachment))
            yield attachment.link_key

    order = columns.ranks(columns.of(set_aside())).tolist()
    members = (Placed(*held) for held in spool.in_order(order))
    for link_key, several in groupby(members, key=lambda member: member.link_key):
        yield link_key, list(several)
    spool.close()


def _is_torn(members: list[Placed], target: str | None, linked: str) -> bool:
    """Whether a group's members have several owners, so that no link is right for all of them.

    Each owner that FileMaker names counts, even if Nexus does not have it. And a group that is
    linked to an existing owner is not moved if the owner of any member is unknown.
    """
    named = {m.filemaker_owner for m in members if m.known and m.filemaker_owner}
    if len(named) > 1:
        return True
    # To move the group would give the unknown members to the new owner as well.
    moves = target is not None and linked == "owner" and members[0].object != target
    return moves and any(m.owner is None for m in members)


def _linked(placed: Placed, owners: Owners) -> str:
    """The state of a link: to an ``owner``, ``dangling``, ``unlinked``, or ``elsewhere``."""
    is_generic = owners.content_type is not None
    if placed.object is None or (is_generic and placed.content_type is None):
        return "unlinked"
    # The database has no foreign key for a generic link, so it can point at a row that is gone.
    if _is_of_owner(placed, owners):
        return "owner" if placed.object in owners.after else "dangling"
    others = owners.live_elsewhere.get(placed.content_type or "")
    if others is None:
        # Of another table the rows are not known here, but none has the UUID of an owner.
        is_nothing = is_uuid(placed.object) and placed.object in owners.after
    else:
        is_nothing = placed.object not in others
    return "dangling" if is_nothing else "elsewhere"


def _is_of_owner(placed: Placed, owners: Owners) -> bool:
    """Whether a link means a row of the owner's entity."""
    return owners.content_type is None or placed.content_type == str(owners.content_type)


def _why(linked: str, target: str | None, current: str | None) -> str:
    """Why a link must be fixed; "" if it is right, or its owner is unknown."""
    if target is None or linked == "elsewhere":
        return ""
    if linked == "owner":
        return "another owner" if current != target else ""
    return linked


def _unplaced(
    name: str,
    members: list[Placed],
    linked: str,
    after: tuple[str | None, str | None],
    owners: Owners,
) -> Iterator[rowfile.Row]:
    """The lines about those of a link that a person may want to look at; ``after`` is that link."""
    on, content_type = after
    kind = owners.names.get(content_type or "", content_type)
    for member in members:
        if reasons := list(_why_unplaced(linked, member)):
            yield name, member.key, "; ".join(reasons), kind, on


def _why_unplaced(linked: str, placed: Placed) -> Iterator[str]:
    """Why FileMaker's owner is not that of an attachment, where a person may want to look."""
    if linked == "elsewhere":
        yield "linked to something else, unchanged"
    if not placed.link_key:
        yield IN_NO_BATCH
    if not placed.known:
        yield "no record in FileMaker, or of two patients"
    elif placed.owner is None:
        yield "patient not in FileMaker, or left out"


def _why_it_stays(linked: str, placed: Placed) -> str:
    if linked == "elsewhere":
        kind = f" (content type {placed.content_type})" if placed.content_type else ""
        return f"its link leads to something else{kind}, and stays"
    return "its batch is not of one owner alone: its link stays" if placed.link_key else IN_NO_BATCH


def kept_files(intake: Intake) -> dict[str, Column]:
    """Attachment -> the keys of all its files, to compare with the census."""
    import pyarrow as pa

    keys = {}
    for name, file in intake.survey.attachment_rows.items():
        held = [column for column in file.columns if column.startswith("file:")]
        table = columns.read(intake.folder, file, held)
        listed = pa.chunked_array([c for column in held for c in table[column].chunks], pa.string())
        keys[name] = columns.filled(listed)
    return keys
