"""Fills in an environment's template, and writes a file of secrets: text in, text out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import dropwhile

Values = Mapping[tuple[str, ...], str | int | None]  # None: the line becomes a comment
_HEAD = """\
# The environment {name}, as nexus-reimport init {name} was told. The secrets that it names are in
# .env.{name} beside it (mode 0600), one NAME=value a line, or exported in each terminal. A value
# that begins or ends with a blank, or holds " #", stands in quotes.
"""
_SECTION = re.compile(r"\[([\w.]+)\]\s*(?:#.*)?")
_KEY = re.compile(r"(\w+) = ")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"')


def filled(template: str, name: str, values: Values) -> str:
    """``template`` with ``values`` by section and key; what it does not have is added there.

    A section that it has as a comment becomes one where a value belongs there.

    Names of variables in it that begin with the template's own environment become ``name``'s.
    """
    section: tuple[str, ...] = ()
    lines: list[str] = []
    left = dict(values)
    last: dict[tuple[str, ...], int] = {(): 0}  # the section's last line with a key
    for line in _uncommented(template.splitlines(), values):
        if match := _SECTION.fullmatch(line):
            section = tuple(match[1].split("."))
            last[section] = len(lines)
        elif match := _KEY.match(line):
            last[section] = len(lines)
        place = (*section, match[1]) if match else ()
        lines.append(_replaced(line, place[-1], left.pop(place)) if place in left else line)
    added = [(last[p[:-1]] + 1, f"{p[-1]} = {_toml(v)}") for p, v in left.items() if v is not None]
    for number, line in sorted(added, reverse=True):  # from the end: no other place moves
        lines.insert(number, line)
    text = "\n".join(lines) + "\n"
    return re.sub(r"NEXUS_(?:DEV|PROD)_", f"NEXUS_{variable(name)}_", text)


def _uncommented(lines: Iterable[str], values: Values) -> Iterator[str]:
    """The lines; of a section that is a comment, its head and what ``values`` has as lines."""
    needed = {place[:-1] for place, value in values.items() if value is not None}
    section: tuple[str, ...] = ()
    for line in lines:
        text = line.removeprefix("# ")
        if line.startswith(("# [", "[")) or not line:
            match = _SECTION.fullmatch(text) if text != line else None
            section = tuple(match[1].split(".")) if match else ()
            yield text if section and section in needed else line
        else:
            key = _KEY.match(text)
            yield text if key and (*section, key[1]) in values and section else line


def headed(text: str, name: str) -> str:
    """``text`` with what is to be known of the file ``name`` where it told how to fill it in."""
    lines = dropwhile(lambda line: line.startswith("#"), text.splitlines(keepends=True))
    return _HEAD.format(name=name) + "".join(lines)


def variable(name: str) -> str:
    """``name`` as a part of a variable's name."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def secrets(values: Mapping[str, str]) -> str:
    """The text of ``.env.<name>``, as ``credentials.read`` reads it.

    Raises:
        ValueError: names the variable whose value cannot be written into a line.
    """
    return "".join(f"{name}={_quoted(name, value)}\n" for name, value in values.items())


def _replaced(line: str, key: str, value: str | int | None) -> str:
    """The line with another value; its comment stays where it was, if there is room."""
    if value is None:
        return f"# {line}"
    comment = re.search(r"\s{2,}#.*$", _STRING.sub(lambda m: "x" * len(m[0]), line))
    written = f"{key} = {_toml(value)}"
    return f"{written:<{comment.start()}}{line[comment.start() :]}" if comment else written


def _toml(value: str | int) -> str:
    # JSON's strings are TOML's, but for a character that neither a name nor a path has
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _quoted(name: str, value: str) -> str:
    if re.search(r"[\r\n\0]", value):
        raise ValueError(name)
    if (
        value == value.strip(" \t")
        and value[:1] not in ("'", '"')
        and not re.search(r"(?:^|[ \t])#", value)
    ):
        return value
    quote = "'" if "'" not in value else '"'
    if quote in value:
        raise ValueError(name)
    return f"{quote}{value}{quote}"
