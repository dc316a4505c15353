"""What the bucket held when it was listed: finds the keys that Nexus names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nexus_reimport.files import rowfile
from nexus_reimport.intake import Intake
from nexus_reimport.model import Census
from nexus_reimport.planning import attachments
from nexus_reimport.text import composed


@dataclass(frozen=True, slots=True)
class Stored:
    """The keys of a bucket. A key that differs only in its Unicode form is found too."""

    keys: frozenset[str]
    by_form: Mapping[str, str]  # composed key -> a key of the bucket

    def real(self, key: str) -> str:
        """The bucket's own spelling of ``key``; ``""`` where it has none."""
        return key if key in self.keys else self.by_form.get(composed(key), "")

    @property
    def twins(self) -> int:
        """How many keys differ from another key only in their Unicode form."""
        return len(self.keys) - len(self.by_form)


def named(intake: Intake, census: Census) -> frozenset[str]:
    """The objects of the bucket that documents and images name, as the bucket spells their keys."""
    objects = stored(census, intake.folder)
    wanted = attachments.kept_files(intake)
    return frozenset(
        real for keys in wanted.values() for key in keys if (real := objects.real(key))
    )


def stored(census: Census, folder: Path) -> Stored:
    """What the bucket held when the census was taken."""
    listed = keys(census, folder)
    return Stored(listed, {composed(key): key for key in sorted(listed)})


def keys(census: Census, folder: Path) -> frozenset[str]:
    """The keys of all objects."""
    return frozenset(row[0] or "" for row in rowfile.read(folder, census.file))
