"""What pydantic finds wrong in a file, in our words: a mistyped name with the one meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nexus_reimport import wording

Path = tuple[str | int, ...]
UNKNOWN, MISSING = "extra_forbidden", "missing"
_TABLE, _LIST, _WHOLE = "a table, in { }", "a list, in [ ]", "a whole number"
# Of what pydantic calls by Python's names -> as it is written in TOML.
_FORMS = {
    "string_type": 'a text, in " "',
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "dataclass_type": _TABLE,
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "a number",
    "float_parsing": "a number",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One of pydantic's findings: its kind, its place in the file, and what it is in our words.

    ``meant`` is the name that a mistyped one was probably meant to be.
    """

    kind: str
    place: Path
    text: str
    meant: str = ""


def mistakes(error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    """All that is wrong; a name that is missing because it is mistyped is one mistake."""
    errors = [(e["type"], tuple(e["loc"]), e) for e in error.errors()]
    missing = {place for kind, place, _ in errors if kind == MISSING}
    meant = {
        place: wording.nearest(str(place[-1]), _free(model, place[:-1], missing))
        for kind, place, _ in errors
        if kind == UNKNOWN
    }
    mistyped = {(*place[:-1], name) for place, name in meant.items()}
    return [
        Mistake(kind, place, _text(detail, meant.get(place, "")), meant.get(place, ""))
        for kind, place, detail in errors
        if not (kind == MISSING and place in mistyped)
    ]


def known(model: type[BaseModel], place: Iterable[str | int]) -> tuple[str, ...]:
    """The names that may stand in the table at ``place``; none if any may."""
    options: list[Any] = [model]
    for part in place:
        tagged = [o for o in options if getattr(o, "__name__", "") == part]
        options = tagged or [inner for option in options for inner in _inner(option, part)]
    return tuple(name for option in options for name in _names(option))


def _free(model: type[BaseModel], place: Path, missing: set[Path]) -> tuple[str, ...]:
    """The names that may stand at ``place``; only those that are missing there, if any are."""
    names = known(model, place)
    return tuple(name for name in names if (*place, name) in missing) or names


def _text(error: ErrorDetails, meant: str) -> str:
    kind, message = error["type"], error["msg"]
    if kind == UNKNOWN:
        return "is not a known name here" + wording.did_you_mean(meant)
    if kind == MISSING:
        return "is missing"
    if kind == "too_short":
        return "must have at least 1 item"
    if kind in _FORMS:
        return f"must be {_FORMS[kind]}"
    text = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if kind == "literal_error":
        text += wording.meant(str(error["input"]), re.findall("'([^']+)'", message))
    return text


def _names(option: Any) -> Iterator[str]:
    if isinstance(option, type) and issubclass(option, BaseModel):
        yield from (field.alias or name for name, field in option.model_fields.items())


def _inner(option: Any, part: str | int) -> Iterator[Any]:
    """What may stand under ``part`` of a table or list of this type."""
    if isinstance(option, type) and issubclass(option, BaseModel):
        fields = {field.alias or name: field for name, field in option.model_fields.items()}
        if part in fields:
            yield from _bare(fields[str(part)].annotation)
        return
    values = get_args(option)
    if get_origin(option) in (dict, tuple, list) and values:
        yield from _bare(values[1] if get_origin(option) is dict else values[0])


def _bare(annotation: Any) -> Iterator[Any]:
    """Each type of an annotation, without what pydantic alone reads."""
    if get_origin(annotation) is Annotated:
        yield from _bare(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from _bare(option)
    else:
        yield annotation
