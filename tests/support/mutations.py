"""Random changes to sealed records: of bytes, lines, files, and between two records."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spot:
    """Where something is changed: a file of one record, its content, and a second record."""

    path: Path
    data: bytes
    in_other: Path  # the file of the same name in the second record, which may not be there
    chance: random.Random

    @property
    def at(self) -> int:
        return self.chance.randrange(len(self.data)) if self.data else 0

    @property
    def lines(self) -> list[bytes]:
        return self.data.splitlines(keepends=True) or [b""]


def flipped(spot: Spot) -> bytes:
    data = bytearray(spot.data or b"\0")
    data[spot.at] ^= 1 << spot.chance.randrange(8)
    return bytes(data)


def without_a_byte(spot: Spot) -> bytes:
    at = spot.at
    return spot.data[:at] + spot.data[at + 1 :]


def with_a_byte(spot: Spot) -> bytes:
    at = spot.at
    return spot.data[:at] + bytes([spot.chance.randrange(256)]) + spot.data[at:]


def truncated(spot: Spot) -> bytes:
    return spot.data[: spot.at]


def emptied(_: Spot) -> bytes:
    return b""


def without_a_line(spot: Spot) -> bytes:
    lines = spot.lines
    del lines[spot.chance.randrange(len(lines))]
    return b"".join(lines)


def with_a_line_twice(spot: Spot) -> bytes:
    return spot.data + spot.chance.choice(spot.lines)


def with_lines_swapped(spot: Spot) -> bytes:
    lines = spot.lines
    spot.chance.shuffle(lines)
    return b"".join(lines)


def removed(spot: Spot) -> None:
    spot.path.unlink()


def added(spot: Spot) -> None:
    spot.path.with_name(f"new{spot.chance.randrange(100)}").write_bytes(spot.data[: spot.at])


def hidden_copy(spot: Spot) -> None:
    spot.path.with_name(f".{spot.path.name}").write_bytes(spot.data)


def renamed(spot: Spot) -> None:
    spot.path.rename(spot.path.with_name(f"{spot.path.name}.{spot.chance.randrange(100)}"))


def swapped(spot: Spot) -> None:
    if spot.in_other.is_file():
        spot.path.write_bytes(spot.in_other.read_bytes())
        spot.in_other.write_bytes(spot.data)


def copied(spot: Spot) -> None:
    spot.in_other.write_bytes(spot.data)


def behind_a_link(spot: Spot) -> None:
    moved = spot.path.rename(spot.path.with_name("moved"))
    spot.path.symlink_to(moved)


def empty_folder(spot: Spot) -> None:
    (spot.path.parent / "folder").mkdir()


OF_CONTENT: list[Callable[[Spot], bytes]] = [
    flipped,
    without_a_byte,
    with_a_byte,
    truncated,
    emptied,
    without_a_line,
    with_a_line_twice,
    with_lines_swapped,
]
OF_FILES: list[Callable[[Spot], None]] = [
    removed,
    added,
    hidden_copy,
    renamed,
    swapped,
    copied,
    behind_a_link,
    empty_folder,
]


def mutate(folder: Path, chance: random.Random) -> str:
    """Change something in the records of ``folder``, or nothing, by chance; what, in words."""
    bags = sorted(path for path in folder.iterdir() if path.is_dir())
    one, other = chance.sample(bags, 2)
    path = chance.choice(sorted(p for p in one.rglob("*") if p.is_file()))
    spot = Spot(path, path.read_bytes(), other / path.relative_to(one), chance)
    kind = chance.choice([*OF_CONTENT, *OF_FILES])
    if (data := kind(spot)) is not None:
        path.write_bytes(data)
    return f"{path.relative_to(folder)} {kind.__name__}"


def everything(folder: Path) -> dict[str, bytes | str | None]:
    """All that lies below a folder: the bytes of files, where links lead, None for folders."""
    return {path.relative_to(folder).as_posix(): _what(path) for path in folder.rglob("*")}


def _what(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None
