"""The line of each key of a TOML file, for messages: path -> line."""

from __future__ import annotations

import re
import tomllib
from typing import Any

Path = tuple[str | int, ...]

# Three quotes come before one: they would also match as an empty string and a quote.
_STRING = r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
_TOKEN = re.compile(rf"{_STRING}|#[^\n]*|[\[\]{{}}]|\n|[^\s\[\]{{}}#\"']+|[^\S\n]+", re.DOTALL)
# [table] or [[list of tables]], maybe with a comment after it.
_HEADER = re.compile(r"(\[\[?)(.*?)\]\]?\s*(?:#.*)?", re.DOTALL)


def lines(text: str) -> dict[Path, int]:
    """Path of each table, key and element of ``text``, a whole TOML file -> its line.

    Everything in a value of one line has that line. In a list of several lines, each element has
    the line where it begins.
    """
    line_of: dict[Path, int] = {}
    table: Path = ()
    count: dict[Path, int] = {}
    for number, statement in _statements(text):
        header = _HEADER.fullmatch(statement)
        if header and not re.match(r"\[[^=]*=", statement):
            table = _within(_keys(f"{header[2]} = 0"), count)
            if header[1] == "[[":
                count[table] = count.get(table, -1) + 1
                table = (*table, count[table])
        else:
            key = _keys(statement)
            line_of.update(_elements((*table, *key), number, statement))
            table_or_key = (*table, *key)
            line_of.setdefault(table_or_key, number)
            continue
        line_of.setdefault(table, number)
    return line_of


def line_of(path: Path, places: dict[Path, int]) -> int:
    """The line of ``path``, or of the longest beginning of it that has one; 0 if none has."""
    return next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), 0)


def dotted(path: Path) -> str:
    """``path`` as it is written in the file."""
    return ".".join(
        str(part) if re.fullmatch(r"[\w-]+", str(part)) else f'"{part}"' for part in path
    )


def _statements(text: str) -> list[tuple[int, str]]:
    """First line and text of each header and each ``key = value``, which can have several lines."""
    statements, depth, number, start, current = [], 0, 1, 1, ""
    for piece in _TOKEN.findall(text):
        if not current.strip():
            start = number
        if piece == "\n" and depth == 0:
            if current.strip():
                statements.append((start, current.strip()))
            current = ""
        elif not piece.startswith("#"):
            current += piece
            depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        number += piece.count("\n")
    return [*statements, (start, current.strip())] if current.strip() else statements


def _elements(path: Path, start: int, statement: str) -> dict[Path, int]:
    """The lines of the elements of a list that has several lines."""
    line_of: dict[Path, int] = {}
    depth, number, element = 0, start, 0
    value = statement.partition("=")[2]
    if "\n" not in value or not value.strip().startswith("["):
        return line_of
    for piece in _TOKEN.findall(value):
        if piece in ("{", "["):
            depth += 1
            if depth == 2:
                line_of[(*path, element)] = number
                element += 1
        depth -= piece in ("}", "]")
        number += piece.count("\n")
    return line_of


def _keys(statement: str) -> Path:
    """The keys on the left of a statement, parsed by the TOML library."""
    match = re.match(rf"(?:{_STRING}|[^=\"'])+?(?==)", statement, re.DOTALL)
    try:
        document: Any = tomllib.loads(f"{match[0]}= 0" if match else "")
    # The library has refused the file already: only the line of the mistake is looked for here.
    except tomllib.TOMLDecodeError:
        return ()
    keys: list[str] = []
    while isinstance(document, dict) and document:
        key = next(iter(document))
        keys.append(key)
        document = document[key]
    return tuple(keys)


def _within(keys: Path, count: dict[Path, int]) -> Path:
    """The path of a header: below the last element of each list of tables on the way."""
    path: Path = ()
    for n, key in enumerate(keys):
        path = (*path, key)
        if path in count and n < len(keys) - 1:
            path = (*path, count[path])
    return path
