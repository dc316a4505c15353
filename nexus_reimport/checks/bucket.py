"""What the bucket held when it was listed: finds the keys that Nexus names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_reimport.files import columns
from nexus_reimport.intake import Intake
from nexus_reimport.model import Census
from nexus_reimport.planning import attachments
from nexus_reimport.text import composed

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column


@dataclass(frozen=True, slots=True)
class Stored:
    """The keys of a bucket. A key that differs only in its Unicode form is found too."""

    keys: Column  # sorted
    apart: Mapping[str, str]  # composed key -> the last key of the bucket that is not composed
    twins: int  # keys that differ from another key only in their Unicode form

    def reals(self, wanted: Column) -> Column:
        """The bucket's own spelling of each of these keys; null where it has none."""
        import pyarrow.compute as pc

        are_spelt_so = columns.among(wanted, self.keys)
        others = list(columns.texts(wanted.filter(pc.invert(are_spelt_so))))
        if not others:
            return wanted
        forms = columns.of(map(composed, others))
        are_keys = columns.among(forms, self.keys).to_pylist()
        # Of several keys of one form the last counts.
        known = (
            max(self.apart.get(form, ""), form if is_key else "") or None
            for form, is_key in zip(columns.texts(forms), are_keys, strict=True)
        )
        return pc.replace_with_mask(
            wanted, pc.invert(are_spelt_so).combine_chunks(), columns.of(known).combine_chunks()
        )


def named(intake: Intake, census: Census) -> Column:
    """The objects of the bucket that documents and images name, as the bucket spells their keys."""
    objects = stored(census, intake.folder)
    wanted = attachments.kept_files(intake).values()
    reals = columns.together([*map(objects.reals, wanted)])
    # As they are listed: each once, however many rows name it.
    return objects.keys.filter(columns.among(objects.keys, reals))


def stored(census: Census, folder: Path) -> Stored:
    """What the bucket held when the census was taken."""
    listed = keys(census, folder)
    others = [key for key in columns.texts(listed) if not key.isascii() and composed(key) != key]
    apart = {composed(key): key for key in sorted(others)}
    alone = len(apart) - columns.count(columns.of(apart), listed)
    return Stored(listed, apart, len(others) - alone)


def keys(census: Census, folder: Path) -> Column:
    """The keys of all objects."""
    return columns.column(folder, census.file, "key")
