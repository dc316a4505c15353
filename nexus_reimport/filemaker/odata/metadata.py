"""Reads OData's ``$metadata``: the sets, their fields and types, and the engine.

A set is described by a type with the set's name and an underscore (``API_Contacts_``). FileMaker
adds annotations: Global, Calculation, Summary, MaxRepetitions.

Source: Claris FileMaker OData Guide, "Get metadata".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from nexus_reimport.filemaker import Field, Product
from nexus_reimport.filemaker.answer import count_in

TYPES = {
    "Edm.String": "text",
    "Edm.Decimal": "number",
    "Edm.Int16": "number",
    "Edm.Int32": "number",
    "Edm.Int64": "number",
    "Edm.Double": "number",
    "Edm.Date": "date",
    "Edm.TimeOfDay": "time",
    "Edm.DateTimeOffset": "timestamp",
    "Edm.Stream": "container",
    "Edm.Binary": "container",  # the same in other versions of the server
}
RECORD_ID, CHANGES = "ROWID", "ROWMODID"  # given only if they are asked for by name
_VERSION_TERMS = {"BestRowID": RECORD_ID, "RowVersion": CHANGES}  # which say that a table has them
ENGINE = "OData Engine"
VERSION_TERMS = ("ServerVersion", "ProductVersion")
# FileMaker copies comments of fields into the document, control characters included.
_NO_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]"
    rb"|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]));"
)
_OF_A_LIST = "Collection("
# An entity that expands to others can fill the memory ("billion laughs").
_DECLARATION = re.compile(rb"<!(DOCTYPE|ENTITY)")


@dataclass(frozen=True, slots=True)
class Metadata:
    """FileMaker's description of one database."""

    product: Product
    tables: Mapping[str, dict[str, Field]]
    versioned: frozenset[str]  # the tables whose records have an id and a number of changes


def read(content: bytes) -> Metadata | None:
    """The description in ``content``; None if it is not such a document.

    A document that declares XML entities is refused: FileMaker's has none, and they can be an
    attack. Control characters, which FileMaker copies from comments of fields, are ignored.
    """
    if _DECLARATION.search(content):
        return None
    root, _ = _parsed(content)
    if root is None:
        root, _ = _parsed(_NO_XML.sub(b"", content))
    if root is None or next(_all(root, "Schema"), None) is None:
        return None
    return _metadata(root)


def flaw(content: bytes) -> str:
    """Line and column at which ``content`` stops being XML; ``""`` if it is XML."""
    return "" if _DECLARATION.search(content) else _parsed(_NO_XML.sub(b"", content))[1]


def _parsed(content: bytes) -> tuple[ElementTree.Element | None, str]:
    """The root, or the place at which the document stops being XML."""
    try:
        return ElementTree.fromstring(content), ""  # noqa: S314 - no declarations: see ``read``
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        line, column = getattr(error, "position", (1, 0))
        return None, f"line {line:,}, column {column + 1:,}"


def _all(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Every element of this name. Each version of OData has a different namespace."""
    return (element for element in root.iter() if element.tag.rpartition("}")[2] == name)


def _metadata(root: ElementTree.Element) -> Metadata:
    """Types and sets may be in different schemas; an alias is a second name of a schema."""
    types: dict[str, dict[str, Field]] = {}
    versioned = set[str]()
    for schema in _all(root, "Schema"):
        for kind in _all(schema, "EntityType"):
            fields = {field.name: field for field in _fields(kind)}
            for prefix in filter(None, (schema.get("Namespace"), schema.get("Alias"))):
                name = f"{prefix}.{kind.get('Name')}"
                types[name] = fields
                versioned |= {name} if _has_versions(kind) else set()
    sets = {str(one.get("Name")): str(one.get("EntityType")) for one in _all(root, "EntitySet")}
    return Metadata(
        _product(root),
        {name: types.get(kind, {}) for name, kind in sets.items()},
        frozenset(name for name, kind in sets.items() if kind in versioned),
    )


def _has_versions(kind: ElementTree.Element) -> bool:
    notes = {_last(a.get("Term", "")): a.get("String", "") for a in _all(kind, "Annotation")}
    return notes.items() >= _VERSION_TERMS.items()


def _product(schema: ElementTree.Element) -> Product:
    """``OData Engine 20.3.2``; some servers give only a version."""
    annotations = _all(schema, "Annotation")
    by_term = {_last(a.get("Term", "")): a.get("String", "") for a in annotations}
    words = next((by_term[term] for term in VERSION_TERMS if term in by_term), "")
    name, _, version = words.rpartition(" ")
    return Product(name or ENGINE, version)


def _fields(kind: ElementTree.Element) -> Iterator[Field]:
    for described in _all(kind, "Property"):
        notes = {_last(a.get("Term", "")): a for a in _all(described, "Annotation")}
        edm = described.get("Type", "")
        is_list = edm.startswith(_OF_A_LIST)
        yield Field(
            name=str(described.get("Name")),
            type=TYPES.get(edm.removeprefix(_OF_A_LIST).rstrip(")"), ""),
            is_global=_holds(notes.get("Global")),
            is_calculation=_holds(notes.get("Calculation")) or _holds(notes.get("Summary")),
            is_summary=_holds(notes.get("Summary")),
            repetitions=_repetitions(notes.get("MaxRepetitions"), is_list=is_list),
        )


def _last(term: str) -> str:
    return term.rpartition(".")[2]


def _holds(annotation: ElementTree.Element | None) -> bool:
    """Whether a term is set. One without a value counts as true."""
    return annotation is not None and annotation.get("Bool", "true").lower() == "true"


def _repetitions(annotation: ElementTree.Element | None, *, is_list: bool) -> int:
    # A collection may come without its number of repetitions: then there are at least two.
    least = 2 if is_list else 1
    number = "" if annotation is None else annotation.get("Int") or annotation.get("String") or ""
    return max(least, count_in(number) or least)
