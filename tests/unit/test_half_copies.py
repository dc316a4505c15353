"""A copy of records that was cut: whatever came across, nobody calls it whole."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nexus_reimport.record.sealed import check
from support.forgeries import Sealed

VIEW = {Path("index.html")}  # nothing vouches for it, and nobody needs it


def cut(place: Path, copy: Path) -> Iterator[set[Path]]:
    """Copies file after file, in two halves, in no order; what is not yet there as it is."""
    files = sorted(p.relative_to(place) for p in place.rglob("*") if p.is_file())
    random.Random(len(files)).shuffle(files)  # as a folder gives its names
    for done, name in enumerate(files):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        content = (place / name).read_bytes()
        (copy / name).write_bytes(content[: len(content) // 2])
        yield {*files[done:]}
        (copy / name).write_bytes(content)
        yield {*files[done + 1 :]}


@pytest.mark.parametrize("single", [True, False])
def test_half_a_copy_is_never_called_whole(
    sealed: Sealed, tool: ModuleType, tmp_path: Path, single: bool
) -> None:
    run = sealed.runs[1]
    place = run.bag if single else sealed.known.records_folder
    copy = tmp_path / place.name
    for lacking in cut(place, copy):
        whole = tool.check(copy, say=lambda _: None)
        assert whole == (lacking <= VIEW), lacking
        checked = [check.of_record(copy)] if single else check.of_folder(copy)
        is_right = all(one.is_right for one in checked)
        assert (is_right and any(one.kind == check.SEALED for one in checked)) == whole
