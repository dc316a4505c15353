"""Documents and images: whose each one is by FileMaker, and which links must be fixed.

An attachment is found in FileMaker by its id, or by the number in its file's key. Its owner is the
row that FileMaker's owner became. Only the link is ever written, and only where it is wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nexus_reimport import ids
from nexus_reimport.files import rowfile
from nexus_reimport.ids import Id
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import Attachment
from nexus_reimport.model import LinkPlan, Outcome

LINK_COLUMNS = ("key", "object", "content_type")


@dataclass(frozen=True, slots=True)
class OwnerRows:
    """The rows of an entity that can own documents: ids before, ids after, and by FileMaker id."""

    before: frozenset[str]
    after: frozenset[str]
    by_filemaker_id: Mapping[Id, str]  # -> Nexus id


@dataclass(frozen=True, slots=True)
class Owners:
    """Where owners stand: the ids that live before and after."""

    before: frozenset[str]
    after: frozenset[str]
    content_type: int | None
    live_elsewhere: Mapping[str, frozenset[str]]  # other content types -> ids after


@dataclass(frozen=True, slots=True)
class Placed:
    """One attachment and what FileMaker says of it."""

    key: str
    link_key: str
    object: str | None
    content_type: str | None
    known: bool  # FileMaker has the record
    filemaker_owner: str  # the owner that FileMaker names, as ids compare; "" where it names none
    owner: str | None  # the Nexus id of that owner


def place(
    intake: Intake,
    name: str,
    rows: Iterable[Mapping[str, str | None]],
    owners: Mapping[Id, str],
) -> list[Placed]:
    """Every attachment of Nexus with the owner that FileMaker names.

    ``rows`` are the attachments, before a run or after it; ``owners`` holds
    Nexus ids by FileMaker id.
    """
    spec = intake.mapping.attachments[name]
    by_field = _by_field(intake, spec)
    placed = []
    for row in rows:
        found = _owner(spec, row, by_field)
        placed.append(
            Placed(
                key=row["key"] or "",
                link_key=row["link_key"] or "",
                object=row["object"],
                content_type=row["content_type"],
                known=found is not None,
                filemaker_owner=found.compared if found else "",
                owner=owners.get(found) if found else None,
            )
        )
    return placed


def _by_field(intake: Intake, spec: Attachment) -> dict[str, dict[Id, Id]]:
    """field -> its value -> the owner's FileMaker id.

    A value that records of several owners share names nobody: it is as if FileMaker did not
    know the attachment, and its link stays as it is.
    """
    found: dict[str, dict[Id, Id]] = {i.field: {} for i in spec.identity}
    shared: set[tuple[str, Id]] = set()
    for record in intake.records(spec.source):
        owner = record.id_in(spec.owner.field)
        for field, values in found.items():
            value = record.id_in(field)
            if value and values.setdefault(value, owner) != owner:
                shared.add((field, value))
    for field, value in shared:
        del found[field][value]
    return found


def _owner(
    spec: Attachment, row: Mapping[str, str | None], by_field: Mapping[str, Mapping[Id, Id]]
) -> Id | None:
    """The owner's FileMaker id; a false one if the record names none, None without a record."""
    for field, value in _identities(spec, row):
        if value in by_field[field]:
            return by_field[field][value]
    return None


def outcomes(
    intake: Intake, name: str, owners: Mapping[Id, str]
) -> Iterator[tuple[str, Outcome, str, str | None]]:
    """What becomes of each record of FileMaker: its id, outcome, rule, and the attachment's key."""
    spec = intake.mapping.attachments[name]
    there = _by_identity(spec, intake.attached(name))
    for record in intake.records(spec.source):
        filemaker_id = record.id.written
        values = ((i.field, record.id_in(i.field)) for i in spec.identity)
        key = next((there[pair] for pair in values if pair in there), None)
        if key is None:
            yield filemaker_id, Outcome.LEFT_OUT, "not_in_nexus", None
        elif record.id_in(spec.owner.field) not in owners:
            yield filemaker_id, Outcome.LEFT_OUT, "owner_not_loaded", key
        else:
            yield filemaker_id, Outcome.LINKED, "", key


def _by_identity(
    spec: Attachment, rows: Iterable[Mapping[str, str | None]]
) -> dict[tuple[str, Id], str]:
    """(field, value) -> the key of the attachment that FileMaker would know by it."""
    found: dict[tuple[str, Id], str] = {}
    for row in rows:
        for field, value in _identities(spec, row):
            found.setdefault((field, value), row["key"] or "")
    return found


def _identities(spec: Attachment, row: Mapping[str, str | None]) -> Iterator[tuple[str, Id]]:
    """Field and value, for each rule by which FileMaker may know an attachment."""
    for number, identity in enumerate(spec.identity):
        value = row[f"identity:{number}:{identity.column}"] or ""
        if identity.pattern:
            found = re.search(identity.pattern, value)
            value = found[1] if found else ""
        if value:
            yield identity.field, ids.of(value)


def plan_all(intake: Intake, rows: Mapping[str, OwnerRows]) -> dict[str, LinkPlan]:
    """Which links of every kind of attachment are fixed; ``rows`` are those of each entity."""
    mapping, survey = intake.mapping, intake.survey
    types = {
        str(survey.content_types[spec.model]): rows[name].after
        for name, spec in mapping.entities.items()
        if spec.model in survey.content_types
    }
    found = {}
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
        )
        placed = place(intake, name, intake.attached(name), rows[owner].by_filemaker_id)
        found[name] = plan(name, spec, placed, owners, intake.folder)
    return found


def plan(
    name: str, spec: Attachment, placed: list[Placed], owners: Owners, folder: Path
) -> LinkPlan:
    """Which links are fixed, and a row file of them: key of the linking row, object, type."""
    groups: dict[str, list[Placed]] = defaultdict(list)
    for one in placed:
        groups[one.link_key].append(one)
    mended: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    torn = []
    content_type = "" if owners.content_type is None else str(owners.content_type)
    with rowfile.writer(folder / f"links_{name}.parquet", LINK_COLUMNS) as out:
        for link_key in sorted(groups):
            members = groups[link_key]
            targets = sorted({m.owner for m in members if m.owner})
            linked = _linked(members[0], owners)
            target = targets[0] if len(targets) == 1 else None
            if _is_torn(members, target, linked):
                torn.append(link_key)
                target = None
            why = _why(linked, target, members[0].object)
            if why:
                mended[why] += 1
                out.add((link_key, target, content_type))
            final = target if why else members[0].object if linked == "owner" else None
            counts["reachable_before"] += len(members) * (
                linked == "owner" and members[0].object in owners.before
            )
            counts["reachable_after"] += len(members) * (final in owners.after)
            counts["elsewhere"] += len(members) * (linked == "elsewhere")
            counts["right_already"] += len(members) * bool(target and not why)
    return LinkPlan(
        attachment=name,
        table=spec.link_table,
        file=out.done(),
        rows=len(placed),
        placed=sum(m.owner is not None for m in placed),
        right_already=counts["right_already"],
        mended=dict(sorted(mended.items())),
        elsewhere=counts["elsewhere"],
        owner_unknown=sum(m.known and m.owner is None for m in placed),
        not_in_filemaker=sum(not m.known for m in placed),
        reachable_before=counts["reachable_before"],
        reachable_after=counts["reachable_after"],
        torn=tuple(torn),
    )


def _is_torn(members: list[Placed], target: str | None, linked: str) -> bool:
    """Whether a group's members belong to several owners, so that no link can be right for all.

    Members whose owner FileMaker names count, whether Nexus has that owner or not; and a group
    that hangs on somebody alive is not moved while it holds members that nobody can place.
    """
    named = {m.filemaker_owner for m in members if m.known and m.filemaker_owner}
    if len(named) > 1:
        return True
    moves = target is not None and linked == "owner" and members[0].object != target
    return moves and any(m.owner is None for m in members)


def _linked(one: Placed, owners: Owners) -> str:
    """Where a link stands: on an ``owner``, ``dangling``, ``unlinked``, or ``elsewhere``."""
    if one.object is None:
        return "unlinked"
    of_owner = owners.content_type is None or one.content_type == str(owners.content_type)
    if of_owner:
        return "owner" if one.object in owners.after else "dangling"
    others = owners.live_elsewhere.get(one.content_type or "")
    return "dangling" if others is not None and one.object not in others else "elsewhere"


def _why(linked: str, target: str | None, current: str | None) -> str:
    """Why a link must be fixed; "" where it must not, or nobody knows the owner."""
    if target is None or linked == "elsewhere":
        return ""
    if linked == "owner":
        return "another owner" if current != target else ""
    return linked


def kept_files(intake: Intake) -> dict[str, tuple[str, ...]]:
    """Attachment -> the keys of all its files, for the census to be compared with."""
    found = {}
    for name, file in intake.survey.attachment_rows.items():
        columns = [column for column in file.columns if column.startswith("file:")]
        found[name] = tuple(
            row[column] or "" for row in intake.attached(name) for column in columns if row[column]
        )
    return found
