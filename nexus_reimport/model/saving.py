"""How a value of a stage is saved as JSON, read back, and made a digest of."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from nexus_reimport.errors import AGAIN, ALLOW_IT, CHANGED_FILE, RecordError
from nexus_reimport.files import private
from nexus_reimport.files.json_values import adapter

T = TypeVar("T")


def save(value: Any, path: Path) -> None:
    """Write ``value`` as JSON, whole or not at all, readable only by the owner."""
    data = adapter(type(value)).dump_json(value, indent=1)
    private.make_folder(path.parent)
    private.replace(path, data + b"\n")


def load(kind: type[T], path: Path) -> T:
    """The value of ``kind`` that ``save`` wrote.

    Raises:
        FileNotFoundError: it was not written.
        RecordError: the file was changed, or is not ours to read any more.
    """
    try:
        # Of a folder in its place nothing can be read, and of a pipe there is no end.
        is_odd = os.path.lexists(path) and not path.is_file()
        return adapter(kind).validate_json(b"" if is_odd else path.read_bytes())
    # pydantic's error quotes the file, which may hold a value.
    except PermissionError:
        raise RecordError(
            f"{path.name} may not be read", where=str(path), next=f"{ALLOW_IT}, {AGAIN}"
        ) from None
    except ValidationError:
        raise RecordError(
            f"{path.name} cannot be read back",
            next=CHANGED_FILE,
        ) from None


def digest(value: Any) -> str:
    """SHA-256 of ``value`` as JSON with sorted keys."""
    plain = adapter(type(value)).dump_python(value, mode="json")
    return private.sha256(json.dumps(plain, sort_keys=True).encode())


def is_unedited(value: Any) -> bool:
    """Whether a value that holds its own digest is what that was made of."""
    return bool(digest(replace(value, digest="")) == value.digest)
