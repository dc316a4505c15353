"""Random changes to sealed records: of bytes, lines, files, and between two records."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

BESIDE = (
    "bagit.txt",
    "bag-info.txt",
    "README.txt",
    "manifest-sha256.txt",
    "tagmanifest-sha256.txt",
)


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


def with_line_ends_of_windows(spot: Spot) -> bytes:
    return spot.data.replace(b"\n", b"\r\n")


def with_a_mark_before(spot: Spot) -> bytes:
    return b"\xef\xbb\xbf" + spot.data


def with_a_blank_line(spot: Spot) -> bytes:
    return spot.data + b"\n"


def without_its_last_end(spot: Spot) -> bytes:
    return spot.data.rstrip(b"\n")


def with_a_fact_twice(spot: Spot) -> bytes:
    """Of one line of JSON, or of bag-info.txt, the first fact stands there again, at the end."""
    lines = spot.lines
    at = spot.chance.randrange(len(lines))
    lines[at] = lines[at].replace(b"}", b', "event": "verified"}', 1) + lines[at]
    return b"".join(lines)


def with_a_path_outside(spot: Spot) -> bytes:
    return spot.data + b"0" * 64 + b"  data/../../outside\n"


def of_another_kind(spot: Spot) -> None:
    spot.path.unlink()
    os.mkfifo(spot.path)


def a_folder_of_its_name(spot: Spot) -> None:
    spot.path.unlink()
    spot.path.mkdir()


def in_another_case(spot: Spot) -> None:
    spot.path.rename(spot.path.with_name(spot.path.name.swapcase()))


def another_manifest(spot: Spot) -> None:
    """One that a BagIt tool may read as well: of another algorithm, or of files to be fetched."""
    name = spot.chance.choice(["manifest-md5.txt", "tagmanifest-sha512.txt", "fetch.txt"])
    bag = spot.path.parent if spot.path.name in BESIDE else spot.path.parent.parent
    (bag / name).write_bytes(b"0" * 32 + b"  data/plan.json\n")


def all_behind_a_link(spot: Spot) -> None:
    """The payload, elsewhere."""
    bag = spot.path.parent if spot.path.name in BESIDE else spot.path.parent.parent
    moved = (bag / "data").rename(bag.parent.parent / f"{bag.name}-{spot.chance.random()}")
    (bag / "data").symlink_to(moved)


OF_CONTENT: list[Callable[[Spot], bytes]] = [
    flipped,
    without_a_byte,
    with_a_byte,
    truncated,
    emptied,
    without_a_line,
    with_a_line_twice,
    with_lines_swapped,
    with_line_ends_of_windows,
    with_a_mark_before,
    with_a_blank_line,
    without_its_last_end,
    with_a_fact_twice,
    with_a_path_outside,
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
    of_another_kind,
    a_folder_of_its_name,
    in_another_case,
    another_manifest,
    all_behind_a_link,
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


def restore(folder: Path, kept: Path, differing: Iterable[str]) -> None:
    """Make each record of ``folder`` in which one of these paths lies as it is in ``kept``."""
    for name in {path.partition("/")[0] for path in differing}:
        now, before = folder / name, kept / name
        if now.is_dir() and not now.is_symlink():
            shutil.rmtree(now)
        else:
            now.unlink(missing_ok=True)
        if before.is_dir():
            shutil.copytree(before, now, symlinks=True)
        elif before.is_file():
            shutil.copy2(before, now)


def _what(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None
