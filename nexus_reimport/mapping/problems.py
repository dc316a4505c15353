"""The problems of a mapping in itself: names of nothing, and contradictions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from nexus_reimport import wording
from nexus_reimport.errors import MappingError
from nexus_reimport.files import toml_places
from nexus_reimport.files.toml_places import Path
from nexus_reimport.mapping.attachments import Attachment, Reference
from nexus_reimport.mapping.columns import ColumnSpec
from nexus_reimport.mapping.entities import DefaultRule, Entity, ExclusionRule, Identity
from nexus_reimport.mapping.field_mapping import ByHand, ExternalId, FieldMapping
from nexus_reimport.mapping.sources import SourceTable

Problem = tuple[Path, str]  # where in the file, and what is wrong
# Excel's rules for the name of a sheet; two are ours, `History` is reserved by Excel.
_SHEET = re.compile(r"(?!(?:choices|history|read me first)$)[^\[\]:*?/\\']{1,31}", re.IGNORECASE)


def find(mapping: FieldMapping) -> Iterator[Problem]:
    """Every name of nothing, and every contradiction: its place, and the problem."""
    for name, source in mapping.sources.items():
        yield from _of_source(mapping, ("sources", name), source)
    for name, entity in mapping.entities.items():
        yield from _of_entity(mapping, ("entities", name), name, entity)
    for name, attachment in mapping.attachments.items():
        yield from _of_attachment(mapping, name, attachment)
    for number, reference in enumerate(mapping.references):
        yield from _of_reference(mapping, ("references", number), reference)
    for name, held in mapping.external_ids.items():
        yield from _of_external_id(mapping, ("external_ids", name), held)
    for name, kind in mapping.by_hand.items():
        yield from _of_by_hand(mapping, ("by_hand", name), name, kind)
    yield from _of_application(mapping, ("application", "calendar"))
    yield from _of_steady_tables(mapping)


def refused(what: str, problems: Iterable[Problem], text: str, where: str = "") -> MappingError:
    """One error for all ``problems`` of the mapping with this ``text``, in the file's order."""
    lines = toml_places.lines(text)
    placed = sorted(
        {
            (toml_places.line_of(path, lines), toml_places.dotted(path), problem)
            for path, problem in problems
        }
    )
    listed = [f"    {f'line {n}, ' if n else ''}{place}: {problem}" for n, place, problem in placed]
    return MappingError(
        "\n".join([f"{what} {wording.amount(len(placed), 'problem')}", *listed]),
        where=where,
        next="correct the mapping and start again",
    )


def _absent(
    mapping: FieldMapping, path: Path, source: str, fields: Iterable[str]
) -> Iterator[Problem]:
    """The ``fields`` that ``source`` does not declare; none if the source itself is missing."""
    known = mapping.sources[source].fields if source in mapping.sources else None
    for field in dict.fromkeys(fields):
        if known is not None and field not in known:
            yield path, f"{source} has no field {field}{wording.meant(field, known)}"


def _no_source(mapping: FieldMapping, path: Path, source: str) -> Iterator[Problem]:
    if source not in mapping.sources:
        yield path, f"no source is called {source}{wording.meant(source, mapping.sources)}"


def _no_entity(mapping: FieldMapping, path: Path, entity: str) -> Iterator[Problem]:
    if entity not in mapping.entities:
        yield path, f"no entity is called {entity}{wording.meant(entity, mapping.entities)}"


def _twice(path: Path, names: Iterable[str], what: str) -> Iterator[Problem]:
    for name, often in Counter(names).items():
        if often > 1:
            yield path, f"{often} {what} are called {name}"


def _of_source(mapping: FieldMapping, path: Path, source: SourceTable) -> Iterator[Problem]:
    name = str(path[-1])
    yield from _absent(mapping, (*path, "key"), name, source.key)
    yield from _absent(mapping, (*path, "modified"), name, filter(None, (source.modified,)))
    if (spec := source.fields.get(source.modified)) and spec.type not in ("date", "timestamp"):
        yield (*path, "modified"), f"{source.modified} is a {spec.type}: name a date or a timestamp"
    yield from _twice((*path, "columns"), filter(None, source.columns), "columns")
    for number, link in enumerate(source.links):
        yield from _absent(mapping, (*path, "links", number, "field"), name, (link.field,))
        yield from _no_source(mapping, (*path, "links", number, "to"), link.to)
    for field, spec in source.fields.items():
        names = {field, *spec.also}
        if source.columns and not spec.optional and not names.intersection(source.columns):
            yield (*path, "columns"), f"the field {field} is missing"


def _of_entity(mapping: FieldMapping, path: Path, name: str, entity: Entity) -> Iterator[Problem]:
    yield from _no_source(mapping, (*path, "source"), entity.source)
    others = [n for n, e in mapping.entities.items() if e.table == entity.table and n != name]
    if others and name > min(others):
        yield (*path, "table"), f"{entity.table} is already the table of {min(others)}"
    if entity.filemaker_id and entity.filemaker_id not in entity.columns:
        yield (*path, "filemaker_id"), f"no column {entity.filemaker_id} is fed"
    yield from _of_filemaker_id(mapping, path, entity)
    for column, feed in entity.columns.items():
        yield from _of_column(mapping, (*path, "columns", column), name, feed)
        yield from _of_neighbours((*path, "columns", column), column, entity)
    for number, rule in enumerate(entity.identity):
        yield from _of_identity((*path, "identity", number), rule, entity)
    for number, left_out in enumerate(entity.left_out):
        yield from _of_left_out(mapping, (*path, "left_out", number), left_out, entity)
    for kind in ("identity", "left_out", "overrides"):
        rules = getattr(entity, kind)
        yield from _twice((*path, kind), (rule.name for rule in rules), "rules")
    for column, value in entity.new.items():
        if isinstance(value, DefaultRule) and value.source_field:
            fields = (value.source_field,)
            yield from _absent(mapping, (*path, "new", column, "from"), entity.source, fields)


def _of_filemaker_id(mapping: FieldMapping, path: Path, entity: Entity) -> Iterator[Problem]:
    """The next run finds a row by what this one has put there: it must be the record's own key."""
    source, fed = mapping.sources.get(entity.source), entity.columns.get(entity.filemaker_id)
    if source is None or fed is None or (fed.source_field,) == source.key:
        return
    column, key = entity.filemaker_id, ", ".join(source.key)
    yield (
        (*path, "columns", column, "from"),
        f"{column} holds FileMaker's id, so the key of {entity.source} ({key}) must feed it",
    )


def _of_column(
    mapping: FieldMapping, path: Path, entity: str, feed: ColumnSpec
) -> Iterator[Problem]:
    source = mapping.entities[entity].source
    yield from _absent(mapping, path, source, feed.fields_used)
    if feed.gather:
        yield from _no_source(mapping, (*path, "gather"), feed.gather)
        used = feed.converter.fields(feed.with_)
        yield from _absent(mapping, (*path, "with"), feed.gather, used)
        gathered = mapping.sources.get(feed.gather)
        if gathered is not None and (not gathered.links or gathered.links[0].to != source):
            yield (
                ("sources", feed.gather, "links"),
                f"the first link must lead to {source}, whose records gather these",
            )
    order = list(mapping.entities)
    # Entities are planned in this order, and later rows look up earlier ones.
    if feed.entity and feed.entity not in order[: order.index(entity)]:
        yield (*path, "entity"), f"{feed.entity} must be an entity listed before {entity}"
    for number, step in enumerate(feed.lookup):
        place = (*path, "lookup", number)
        if step.table in mapping.wiped_tables():
            yield (*place, "table"), f'{step.table} is wiped: use convert = "entity" for its rows'
        if bool(step.through) != bool(step.take):
            yield place, "give both `through` and `take`, or neither"
        elif step.through:
            yield from _no_source(mapping, (*place, "through"), step.through)
            yield from _absent(mapping, (*place, "take"), step.through, (step.take,))


def _of_neighbours(path: Path, name: str, entity: Entity) -> Iterator[Problem]:
    """Contradictions between a column and the entity's other columns."""
    feed, (base, _, key) = entity.columns[name], name.partition(".")
    if feed.not_before and feed.not_before not in entity.columns:
        yield (*path, "not_before"), f"no column {feed.not_before} is fed"
    whole = entity.columns.get(base) if key else None
    if whole is not None and not whole.gather:
        yield path, f"{base} is already fed as a whole"
    elif whole is not None and any(key.partition(".")[0] in keys for keys in whole.parts.values()):
        yield path, f"the card in {base} already has this key"
    parents = [name.rsplit(".", n)[0] for n in range(1, name.count("."))]
    for parent in (p for p in parents if p in entity.columns):
        yield path, f"{parent} is already fed as a whole"


def _of_identity(path: Path, rule: Identity, entity: Entity) -> Iterator[Problem]:
    if rule.by == "filemaker_id":
        if not entity.filemaker_id:
            yield path, "by filemaker_id, but the entity's filemaker_id names no column"
        return
    for part, names in (("by", rule.by), ("then", rule.then)):
        for column in names:
            if column not in entity.columns or "." in column or entity.columns[column].gather:
                yield (*path, part), f"no column {column} is fed as a whole"
    for column in (c for c in rule.folded if c not in rule.by):
        yield (*path, "folded"), f"{column} is not one of the columns in `by`"


def _of_left_out(
    mapping: FieldMapping, path: Path, rule: ExclusionRule, entity: Entity
) -> Iterator[Problem]:
    yield from _absent(mapping, (*path, "empty"), entity.source, rule.empty)
    for part, column in (("unresolved", rule.unresolved), ("misfit", rule.misfit)):
        if column and column not in entity.columns:
            yield (*path, part), f"no column {column} is fed"
        elif column and part == "unresolved" and not entity.columns[column].entity:
            yield (
                (*path, part),
                (
                    f"{column} is a {entity.columns[column].convert}, and only convert = "
                    '"entity" can be unresolved: use `misfit` or `empty`'
                ),
            )


def _of_attachment(mapping: FieldMapping, name: str, spec: Attachment) -> Iterator[Problem]:
    path = ("attachments", name)
    yield from _no_source(mapping, (*path, "source"), spec.source)
    yield from _absent(mapping, (*path, "owner", "field"), spec.source, (spec.owner.field,))
    yield from _no_entity(mapping, (*path, "owner", "entity"), spec.owner.entity)
    yield from _absent(mapping, (*path, "exported"), spec.source, filter(None, (spec.exported,)))
    for number, rule in enumerate(spec.identity):
        place = (*path, "identity", number)
        yield from _absent(mapping, (*place, "field"), spec.source, (rule.field,))
        try:
            groups = re.compile(rule.pattern).groups
        except re.error as error:
            yield (*place, "pattern"), f"is not a regular expression: {error}"
        else:
            if rule.pattern and groups != 1:
                yield (
                    (*place, "pattern"),
                    f"has {groups} groups; it must have one, around the part to take",
                )
    for table in {spec.table, spec.link_table} & mapping.wiped_tables().keys():
        yield (*path, "table"), f"{table} is wiped, so it cannot be re-linked"
    for other, its in mapping.attachments.items():
        if other != name and its.link_table == spec.link_table:
            yield (
                (*path, "link"),
                (
                    f"{other} has its links in {spec.link_table}, too: whose a row there is, only"
                    " one attachment can say"
                ),
            )
    owner = mapping.entities.get(spec.owner.entity)
    if spec.link.content_type and (not mapping.content_types or not (owner and owner.model)):
        yield (
            (*path, "link", "content_type"),
            "needs `content_types` (their table), and the `model` of the owner's entity",
        )


def _of_reference(mapping: FieldMapping, path: Path, reference: Reference) -> Iterator[Problem]:
    for entity in reference.entities:
        yield from _no_entity(mapping, (*path, "entities"), entity)
    if reference.content_type and not mapping.content_types:
        yield (*path, "content_type"), "needs `content_types` (their table)"
    if not reference.content_type and not reference.entities:
        yield path, "points at nothing: give `content_type` or `entities`"


def _of_external_id(mapping: FieldMapping, path: Path, held: ExternalId) -> Iterator[Problem]:
    yield from _no_entity(mapping, (*path, "entity"), held.entity)
    if held.entity in mapping.entities:
        source = mapping.entities[held.entity].source
        yield from _absent(mapping, (*path, "field"), source, (held.field,))
    if held.table in mapping.wiped_tables():
        yield (*path, "table"), f"{held.table} is wiped: nothing of it is left to be compared"


def _of_by_hand(mapping: FieldMapping, path: Path, name: str, kind: ByHand) -> Iterator[Problem]:
    # Excel compares the names of sheets without regard to case.
    sheet = name.replace("_", " ")
    sheets = [other.replace("_", " ").casefold() for other in mapping.by_hand]
    if not _SHEET.fullmatch(sheet) or sheets.count(sheet.casefold()) > 1:
        yield path, "cannot be the name of a sheet, or another sheet has this name"
    yield from _no_entity(mapping, (*path, "entity"), kind.entity)
    for column, choices in kind.columns.items():
        if "." in column:
            yield (*path, "columns", column), "only a whole column can be given by hand"
        if choices and not all(choices.partition(".")):
            yield (*path, "columns", column), f"{choices}: write table.column, or nothing"
    for title in kind.titles.keys() - {*kind.show, *kind.columns}:
        yield (*path, "titles"), f"{title} is not a column of this sheet"
    fed = mapping.entities[kind.entity].columns if kind.entity in mapping.entities else None
    for shown in kind.show:
        base, _, further = shown.partition(".")
        if fed is not None and further and (base not in fed or not fed[base].entity):
            yield (*path, "show"), f"{base} is not a column that leads to an entity"


def _of_steady_tables(mapping: FieldMapping) -> Iterator[Problem]:
    """What is said of tables that the run does not write."""
    written = {*mapping.wiped_tables(), *mapping.link_tables()}
    for table in mapping.volatile.keys() & written:
        yield (
            ("volatile", table),
            "the run writes this table, so none of its columns can be volatile",
        )
    for number, table in enumerate(mapping.transient):
        if "*" not in mapping.volatile.get(table, ()):
            yield ("transient", number), f'{table} is not volatile as a whole: {table} = ["*"]'
    for number, table in enumerate(mapping.append_only):
        if "*" in mapping.volatile.get(table, ()):
            yield (
                ("append_only", number),
                f"{table} is volatile as a whole: no row of it is compared",
            )
        if table in written:
            yield ("append_only", number), f"the run itself changes rows of {table}"


def _of_application(mapping: FieldMapping, path: Path) -> Iterator[Problem]:
    calendar = mapping.application.calendar
    yield from _no_entity(mapping, (*path, "entity"), calendar.entity)
    if calendar.entity in mapping.entities:
        feed = mapping.entities[calendar.entity].columns.get(calendar.patient)
        if feed is None or not feed.entity:
            yield (*path, "patient"), f"{calendar.patient} is not a column that leads to an entity"
