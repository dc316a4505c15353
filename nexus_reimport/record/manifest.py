"""The manifest of a sealed record: what each of its files was when it was sealed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nexus_reimport.files import private

MANIFEST = "manifest.json"


def is_there(folder: Path) -> bool:
    """Whether the record is closed for good."""
    return (folder / MANIFEST).is_file()


def read(folder: Path) -> dict[str, Any]:
    """The sealed record's manifest."""
    return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def digest(folder: Path) -> str:
    """The digest of the manifest; "" while the record is open."""
    return private.sha256_of(folder / MANIFEST) if is_there(folder) else ""


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a record but its manifest."""
    return {name: private.sha256_of(folder / name) for name in sorted(names(folder))}


def names(folder: Path) -> set[str]:
    """Every file of a record but its manifest, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def write_new(path: Path, value: Any) -> None:
    """A JSON file that was not there, readable by the owner alone and on the disk."""
    private.write_new(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")
