"""What is purged: a row stays that another one which stays references, whatever the chain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport.files import rowfile
from nexus_reimport.model import Pointer
from nexus_reimport.planning import purging
from nexus_reimport.planning.entity import Merged
from nexus_reimport.planning.spooled import SpooledRows

OF_THE_ROW_BEFORE = Pointer("visits", ("follows",), "foreign key", "visits", 0, 0, ("id",))


class Counted(SpooledRows):
    """Rows that count how often one of them is read from the disk."""

    reads = 0

    def __getitem__(self, key: str) -> dict[str, str | None]:
        Counted.reads += 1
        return super().__getitem__(key)


def purged(folder: Path, candidates: Mapping[str, str | None], stay: list[str | None]) -> set[str]:
    """The visits that go, of which each follows on another one, or on none."""
    rows = Counted.of(("id", "follows"), folder)
    for key, follows in candidates.items():
        rows.add(key, (key, follows))
    columns = ("id", "follows")
    file = rowfile.write(folder / "stay.parquet", columns, [("s", one) for one in stay])
    spec = SimpleNamespace(table="visits")
    visits: dict[str, Any] = {"name": "visits", "spec": spec, "candidates": rows, "rows": file}
    merged = cast(Merged, SimpleNamespace(**visits, unmatched={}))
    return set(purging.decide({"visits": merged}, (OF_THE_ROW_BEFORE,), folder)["visits"].purged)


def test_of_a_long_chain_each_row_is_read_as_often_as_of_a_short_one(tmp_path: Path) -> None:
    """All rows were read again for each link of it: 30,000 rows would have taken an hour."""
    length = 3_000
    chain = {f"{n:05}": f"{n - 1:05}" for n in range(1, length)} | {"00000": None}
    Counted.reads = 0
    assert purged(tmp_path, chain, [f"{length - 1:05}"]) == set()
    assert Counted.reads <= 2 * length
    assert purged(tmp_path, chain, ["00099"]) == {f"{n:05}" for n in range(100, length)}
    assert purged(tmp_path, chain, [None]) == chain.keys()


KEYS = st.sampled_from("abcdefgh")


@settings(max_examples=25)
@given(st.dictionaries(KEYS, st.none() | KEYS), st.lists(st.none() | KEYS))
def test_what_goes_is_what_nothing_that_stays_leads_to(
    candidates: dict[str, str | None], stay: list[str | None]
) -> None:
    kept = set(stay) & candidates.keys()
    for _ in candidates:
        kept |= {candidates[key] for key in kept} & candidates.keys()
    with TemporaryDirectory() as folder:
        # PostgreSQL prints a uuid in small letters; a column of text may hold it in capitals.
        capitals = [one.upper() if one else None for one in stay]
        assert purged(Path(folder), candidates, capitals) == candidates.keys() - kept
