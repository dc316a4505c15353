"""Looks for what identifies a made-up person, and for secrets, in whatever the product wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from support.clinic import PASSWORD, Clinic


def leaks(clinic: Clinic, texts: Iterable[tuple[str, str]]) -> list[str]:
    """Where a made-up value or a secret stands: kind and place, for the message."""
    said = clinic.made_up.canaries()
    secrets = [PASSWORD, clinic.s3.access.secret_key, *clinic.server.access.passwords.values()]
    kinds = {**said, "secret": tuple(secrets)}
    found = []
    for place, text in texts:
        folded = text.casefold()
        found += [
            f"{kind} in {place}"
            for kind, values in kinds.items()
            for value in values
            if value.casefold() in folded
        ]
    return sorted(set(found))


def files(folder: Path) -> Iterable[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_text(encoding="utf-8", errors="replace")
