"""Which links are fixed, and which are never moved."""

from __future__ import annotations

from pathlib import Path

from nexus_reimport import mapping
from nexus_reimport.files import rowfile
from nexus_reimport.model import LinkPlan
from nexus_reimport.planning import attachments
from nexus_reimport.planning.attachments import Owners, Placed

BATCHES = mapping.load("nexus").attachments["images"]
OWNERS = Owners(frozenset("ab"), frozenset("ab"), 7, {"7": frozenset("ab")})


def planned(folder: Path, *members: Placed) -> tuple[LinkPlan, list[tuple[str | None, ...]]]:
    made = attachments.plan("images", BATCHES, list(members), OWNERS, folder)
    return made, list(rowfile.read(folder, made.file))


def member(key: str, hangs_on: str | None, says: str | None) -> Placed:
    """An image of one batch; ``says`` is FileMaker's owner, None where it knows no record."""
    owner = {"A": "a", "B": "b"}.get(says or "")
    return Placed(key, "batch", hangs_on, "7", says is not None, says or "", owner)


def test_a_batch_of_one_patient_is_moved_to_that_patient(tmp_path: Path) -> None:
    made, rows = planned(tmp_path, member("1", "b", "A"), member("2", "b", "A"))
    assert rows == [("batch", "a", "7")]
    assert made.fixed == {"another owner": 1}


def test_a_batch_of_two_patients_is_torn_and_stays(tmp_path: Path) -> None:
    made, rows = planned(tmp_path, member("1", "b", "A"), member("2", "b", "B"))
    assert (made.split_groups, rows) == (("batch",), [])


def test_an_owner_that_was_left_out_counts_as_another_patient(tmp_path: Path) -> None:
    made, rows = planned(tmp_path, member("1", "b", "A"), member("2", "b", "NAMELESS"))
    assert (made.split_groups, rows) == (("batch",), [])


def test_a_batch_on_a_live_patient_is_not_moved_with_an_image_that_nobody_can_place(
    tmp_path: Path,
) -> None:
    made, rows = planned(tmp_path, member("1", "b", "A"), member("2", "b", None))
    assert (made.split_groups, rows) == (("batch",), [])


def test_a_dangling_batch_is_fixed_though_one_image_cannot_be_placed(tmp_path: Path) -> None:
    made, rows = planned(tmp_path, member("1", "gone", "A"), member("2", "gone", None))
    assert rows == [("batch", "a", "7")]
    assert made.split_groups == ()


def test_what_hangs_on_nothing_and_nobody_can_place_stays_so(tmp_path: Path) -> None:
    made, rows = planned(tmp_path, member("1", None, None))
    assert rows == []
    assert made.reachable_after == 0
