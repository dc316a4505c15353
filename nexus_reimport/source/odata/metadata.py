"""Reads OData's ``$metadata``: which sets there are, their fields and types, and the engine.

A set is described by a type that is called as the set, with an underscore. FileMaker adds
annotations: Global, Calculation, Summary, MaxRepetitions.

Source: Claris FileMaker OData Guide, "Get metadata".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from nexus_reimport.source import Field, Product

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
    "Edm.Binary": "container",
}
ENGINE = "OData Engine"
VERSION_TERMS = ("ServerVersion", "ProductVersion")
_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_OF_A_LIST = "Collection("
_DECLARATION = re.compile(rb"<!(DOCTYPE|ENTITY)")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What FileMaker says of one database."""

    product: Product
    tables: Mapping[str, dict[str, Field]]


def read(content: bytes) -> Metadata | None:
    """What ``content`` says; None where it is not such a document.

    A document that declares entities of its own is refused: FileMaker's has none.
    """
    if _DECLARATION.search(content):
        return None
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - no declarations: see above
    except ElementTree.ParseError:
        return None
    schema = root.find(f".//{_EDM}Schema")
    return None if schema is None else _metadata(schema)


def _metadata(schema: ElementTree.Element) -> Metadata:
    prefix = f"{schema.get('Namespace')}."
    types = {
        f"{prefix}{kind.get('Name')}": {field.name: field for field in _fields(kind)}
        for kind in schema.iter(f"{_EDM}EntityType")
    }
    tables = {
        str(found.get("Name")): types.get(str(found.get("EntityType")), {})
        for found in schema.iter(f"{_EDM}EntitySet")
    }
    return Metadata(_product(schema), tables)


def _product(schema: ElementTree.Element) -> Product:
    """``OData Engine 20.3.2``; a version alone in some servers."""
    annotations = schema.iter(f"{_EDM}Annotation")
    told = {_last(a.get("Term", "")): a.get("String", "") for a in annotations}
    words = next((told[term] for term in VERSION_TERMS if term in told), "")
    name, _, version = words.rpartition(" ")
    return Product(name or ENGINE, version)


def _fields(kind: ElementTree.Element) -> Iterator[Field]:
    for found in kind.iter(f"{_EDM}Property"):
        notes = {_last(a.get("Term", "")): a for a in found.iter(f"{_EDM}Annotation")}
        edm = found.get("Type", "")
        is_list = edm.startswith(_OF_A_LIST)
        yield Field(
            name=str(found.get("Name")),
            type=TYPES.get(edm.removeprefix(_OF_A_LIST).rstrip(")"), ""),
            is_global=_holds(notes.get("Global")),
            is_calculation=_holds(notes.get("Calculation")) or _holds(notes.get("Summary")),
            repetitions=_repetitions(notes.get("MaxRepetitions"), is_list=is_list),
        )


def _last(term: str) -> str:
    return term.rpartition(".")[2]


def _holds(annotation: ElementTree.Element | None) -> bool:
    """A term that is there without a value is true."""
    return annotation is not None and annotation.get("Bool", "true").lower() == "true"


def _repetitions(annotation: ElementTree.Element | None, *, is_list: bool) -> int:
    least = 2 if is_list else 1
    told = "" if annotation is None else annotation.get("Int") or annotation.get("String") or ""
    return max(least, int(told)) if told.isdigit() else least
