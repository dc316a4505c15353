"""The manifest of a sealed record: what each of its files was when it was sealed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


def is_there(folder: Path) -> bool:
    """Whether the record is closed for good."""
    return (folder / MANIFEST).is_file()


def read(folder: Path) -> dict[str, Any]:
    """The sealed record's manifest."""
    return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def digest(folder: Path) -> str:
    """The digest of the manifest; "" while the record is open."""
    return sha256(folder / MANIFEST) if is_there(folder) else ""


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a record but its manifest."""
    return {name: sha256(folder / name) for name in sorted(names(folder))}


def names(folder: Path) -> set[str]:
    """Every file of a record but its manifest, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def write_new(path: Path, value: Any) -> None:
    """A JSON file that was not there, readable by the owner alone and on the disk."""
    data = json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o600)


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
