"""Which links are fixed, and which are never moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import mapping
from nexus_reimport.files import rowfile
from nexus_reimport.model import LinkPlan
from nexus_reimport.model.survey import Pointer
from nexus_reimport.planning import attachments, listings, plan
from nexus_reimport.planning.attachments import Owners, Placed
from nexus_reimport.settings import EntityDecisions
from support import SUPPORT
from support.by_itself import NOW, PlannedAlone, Row, Written

BATCHES = mapping.load("nexus").attachments["images"]
OWNERS = Owners(frozenset("ab"), frozenset("ab"), 7, {"7": frozenset("ab")}, {})


def planned(folder: Path, *members: Placed) -> tuple[LinkPlan, list[tuple[str | None, ...]]]:
    made = attachments.plan("images", BATCHES, list(members), OWNERS, folder, {})
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


def test_images_of_no_batch_are_listed_since_nothing_holds_their_links(tmp_path: Path) -> None:
    loose = [Placed(key, "", None, None, True, "A", "a") for key in "12"]
    stays: dict[str, str] = {}
    made = attachments.plan("images", BATCHES, loose, OWNERS, tmp_path, stays)
    assert (made.rows, made.fixed, made.split_groups) == (2, {}, ())
    assert not list(rowfile.read(tmp_path, made.file))
    why = "in no batch, so that nothing holds its link"
    assert stays == {"1": why, "2": why}
    listed = list(rowfile.read(tmp_path, made.unplaced)) if made.unplaced else []
    assert listed == [("images", key, why, None, None) for key in "12"]


def test_what_hangs_on_nothing_and_nobody_can_place_stays_so(tmp_path: Path) -> None:
    made, rows = planned(tmp_path, member("1", None, None))
    assert rows == []
    assert made.reachable_after == 0


@pytest.mark.parametrize(
    ("object", "content_type", "why"),
    [
        ("a", "7", ""),
        ("b", "7", "another owner"),
        ("gone", "7", "dangling"),
        (None, "7", "unlinked"),
        (None, None, "unlinked"),
        ("gone", "8", "dangling"),  # at a row of another kind, which is gone
        ("x", "8", "elsewhere"),
        ("a", "8", "dangling"),
        ("a", "9", "elsewhere"),  # of what there is no entity nobody knows what it points at
    ],
)
def test_a_link_is_fixed_by_what_is_wrong_with_it_and_one_to_something_else_stays(
    tmp_path: Path, object: str | None, content_type: str | None, why: str
) -> None:
    live = {"7": frozenset("ab"), "8": frozenset("x")}
    owners = replace(OWNERS, live_elsewhere=live, names={"8": "app.visit"})
    one = member("1", object, "A")._replace(content_type=content_type)
    made = attachments.plan("images", BATCHES, [one, one], owners, tmp_path, {})
    is_fixed = why not in ("", "elsewhere")
    assert made.fixed == ({why: 1} if is_fixed else {})
    lines = [("batch", "a", "7")] if is_fixed else []
    assert list(rowfile.read(tmp_path, made.file)) == lines
    unplaced = list(rowfile.read(tmp_path, made.unplaced)) if made.unplaced else []
    kind = {"8": "app.visit"}.get(content_type or "", content_type)
    reason = "linked to something else, unchanged"
    listed = [("images", "1", reason, kind, object)] * 2
    assert unplaced == (listed if why == "elsewhere" else [])
    assert (made.elsewhere, made.right_already) == (2 * (why == "elsewhere"), 2 * (why == ""))
    is_ours = why in ("", "another owner")
    assert (made.reachable_before, made.reachable_after) == (2 * is_ours, 2 * (why != "elsewhere"))


@pytest.mark.parametrize(
    ("object", "content_type", "before", "after"),
    [
        ("old", "7", 1, 0),
        ("a", "7", 1, 1),
        ("new", "7", 0, 1),
        ("old", "8", 0, 0),
        (None, "7", 0, 0),
    ],
)
def test_a_file_whose_person_goes_was_reachable_before(
    tmp_path: Path, object: str | None, content_type: str, before: int, after: int
) -> None:
    """Else a check would not miss it, where the mapping does not name the link as a reference."""
    owners = replace(OWNERS, before=frozenset({"a", "old"}), after=frozenset({"a", "new"}))
    one = member("1", object, None)._replace(content_type=content_type)
    found = member("2", None, "A")._replace(link_key="another", owner="new")
    made = attachments.plan("images", BATCHES, [one, found], owners, tmp_path, {})
    assert (made.reachable_before, made.reachable_after) == (before, after + 1)
    assert made.lost == (("1",) if before and not after else ())


def test_what_filemaker_gives_no_patient_is_listed_for_the_record(tmp_path: Path) -> None:
    """They stayed a count, and nobody could look at one of them."""
    rows: list[Row] = [
        {"fid": None, "path": None, "object": "2"},
        {"fid": "I5", "path": None, "object": None},
        {"fid": "I1", "path": None, "object": "1"},
    ]
    made = of_images(tmp_path, *rows)
    record = tmp_path / "record"
    record.mkdir()
    listings.ids(made.plan, tmp_path, record)
    assert (record / "unplaced.csv").read_text("utf-8-sig").splitlines() == [
        "attachment,nexus_id,why,linked_to,object",
        'images,K0,"no record in FileMaker, or of two patients",,2',
        'images,K1,"patient not in FileMaker, or left out",,',
    ]


ANN, BEN = "4f0f0f8e-52c1-4a2e-9d52-0c8a1f4c3a01", "4f0f0f8e-52c1-4a2e-9d52-0c8a1f4c3a02"
LIVE = frozenset((ANN, BEN, "5"))  # 7 are patients, 8 appointments, 9 is of a protected table
OF_THREE_TYPES = Owners(LIVE, LIVE, 7, {"7": LIVE, "8": frozenset(("5", "x"))}, {})


@pytest.mark.parametrize(
    ("hangs_on", "content_type", "why"),
    [
        (ANN, "7", ""),
        (BEN, "7", "another owner"),
        ("gone", "7", "dangling"),
        (None, "7", "unlinked"),
        (None, None, "unlinked"),
        (ANN, None, "unlinked"),  # a link without a type is shown nowhere, whatever id it holds
        (BEN, None, "unlinked"),
        ("gone", None, "unlinked"),
        (ANN, "8", "dangling"),  # no appointment has a patient's id
        ("x", "8", ""),  # a live appointment
        (ANN, "9", "dangling"),  # a patient's UUID is no other row's
        (BEN, "9", "dangling"),
        ("5", "9", ""),  # a number can be: whose row it is, only that table knows
        ("gone", "9", ""),
    ],
)
def test_a_link_is_fixed_unless_it_leads_to_something_else(
    tmp_path: Path, hangs_on: str | None, content_type: str | None, why: str
) -> None:
    document = mapping.load("nexus").attachments["documents"]
    one = Placed("D", "D", hangs_on, content_type, True, "A", ANN)
    stays: dict[str, str] = {}
    made = attachments.plan("documents", document, [one], OF_THREE_TYPES, tmp_path, stays)
    assert made.fixed == ({why: 1} if why else {})
    is_right = (hangs_on, content_type) == (ANN, "7")
    assert made.elsewhere == int(not why and not is_right)
    assert made.reachable_after == int(bool(why) or is_right)
    assert list(rowfile.read(tmp_path, made.file)) == ([("D", ANN, "7")] if why else [])
    to_what = f"its link leads to something else (content type {content_type}), and stays"
    assert stays == ({} if why or is_right else {"D": to_what}), "the ledger said that it is linked"


# ---------------------------------------------------------------- whose a file is

IMAGES = """
[sources.images]
table = "Images"
key = "id"
links = [{ field = "of", to = "people" }]
at_most = { not_in_nexus = 0.5, owner_not_loaded = 0.5 }
fields = { id = "text", of = "text", recid = "number" }
[attachments.images]
table = "image"
source = "images"
owner = { field = "of", entity = "people" }
identity = [
  { column = "fid", field = "id" },
  { column = "path", pattern = 'bulk/(\\d+)\\.', field = "recid" },
]
file = { column = "path" }
link = { object = "person_id" }
[entities.people]
"""
COLUMNS = {
    "people": {"id": "integer", "fid": "text", "data": "jsonb", "card": "jsonb"},
    "visits": {"id": "uuid"},
}
RECORDS = [
    {"id": "I1", "of": "P1", "recid": "11"},
    {"id": "I2", "of": "p2 ", "recid": "12.0"},
    {"id": "I3", "of": "", "recid": "13"},
    {"id": "I4", "of": "P9", "recid": "14"},  # is left out: it has no name
    {"id": "I5", "of": "P5", "recid": "15"},  # nobody
    {"id": "I6", "of": "P1", "recid": "16"},
    {"id": "I7", "of": "P2", "recid": "16"},  # its number twice, of two people
    {"id": "I8", "of": "P1", "recid": "18"},
    {"id": "I9", "of": "P1", "recid": "18"},  # its number twice, of one
]


def with_images(folder: Path, *rows: Row, **more: Any) -> Written:
    """Two people and their images; a row has fid, path and the person of its link."""
    decisions = EntityDecisions.model_validate({"when_different": {"*": "filemaker"}})
    people = [{"id": f"P{n}", "name": name} for n, name in ((1, "One"), (2, "Two"), (9, ""))]
    mapped = (SUPPORT / "by_itself.toml").read_text().replace("[entities.people]", IMAGES)
    attached = [
        {
            "key": f"K{number}",
            "link_key": row.get("batch") or f"K{number}",
            "object": row["object"],
            "content_type": None,
            "identity:0:fid": row["fid"],
            "identity:1:path": row["path"],
        }
        for number, row in enumerate(rows)
    ]
    given: dict[str, Any] = {
        "records": {"people": people, "images": RECORDS},
        "rows": {"people": [{"id": str(n), "fid": f"p{n}"} for n in (1, 2, 3)]},
        "attached": {"images": attached},
        "lookups": {"site.label": []},
        "decisions": {"people": decisions, "visits": decisions},
    }
    return Written(folder, mapped, more.pop("columns", COLUMNS), **given | more)


def of_images(folder: Path, *rows: Row) -> PlannedAlone:
    """The plan of these images."""
    return with_images(folder, *rows).planned()


@pytest.mark.parametrize(
    ("fid", "path", "linked", "becomes"),
    [
        ("I1", None, None, "1"),
        ("i1", "bulk/12.jpg", None, None),  # of two people: neither is more likely
        ("i1 ", "bulk/18.jpg", "2", "1"),
        (None, "bulk/12.jpg", None, "2"),
        (None, "x/12.jpg", None, None),
        (None, "bulk/16.jpg", None, None),  # a number of two people
        (None, "bulk/18.jpg", None, "1"),
        ("I7", "bulk/16.jpg", "1", "2"),
        ("I3", None, "1", "1"),  # of nobody: the link stays
        ("I4", None, "1", "1"),
        ("I5", "bulk/11.jpg", "1", "1"),  # of two people, one of whom nobody knows
        ("I0", "bulk/11.jpg", "2", "1"),
        ("", "", "1", "1"),
        ("12", None, None, None),  # an id is no number of another image
        ("K0", "bulk/I1.jpg", None, None),
    ],
)
def test_an_image_is_of_the_person_whom_all_that_identifies_it_names(
    tmp_path: Path, fid: str | None, path: str | None, linked: str | None, becomes: str | None
) -> None:
    made = of_images(tmp_path, {"fid": fid, "path": path, "object": linked})
    links = made.plan.links["images"]
    fixed = {key: to for key, to, _ in made.lines(links.file)}
    assert fixed.get("K0", linked) == becomes
    assert (links.rows, links.reachable_after) == (1, int(becomes is not None))


def test_each_record_of_an_image_has_its_line(tmp_path: Path) -> None:
    rows = [
        {"fid": "i1", "path": "", "object": None},
        {"fid": None, "path": "bulk/12.jpg", "object": "2"},
        {"fid": "I3", "path": None, "object": None},
        {"fid": "I4", "path": None, "object": None},
        {"fid": "I8", "path": None, "object": None},
        {"fid": "I6", "path": "bulk/12.jpg", "object": None},  # identifies nothing
    ]
    rows.append({"fid": "15", "path": "15", "object": None})  # the number of another one
    made = of_images(tmp_path, *rows)
    lines = {line[4]: (line[2], line[3], line[5]) for line in made.ledger if line[0] == "images"}
    nowhere = ("left out", "not_in_nexus", None)
    assert lines == {
        "I1": ("linked", None, "K0"),
        "I2": ("linked", None, "K1"),
        "I3": ("left out", "owner_not_loaded", "K2"),
        "I4": ("left out", "owner_not_loaded", "K3"),
        "I5": nowhere,
        "I6": nowhere,
        "I7": nowhere,
        "I8": ("linked", None, "K4"),
        "I9": nowhere,
    }
    (account,) = (a for a in made.plan.accounts if a.source == "images")
    assert (account.records, account.linked, account.loaded) == (9, 3, 0)
    links = made.plan.links["images"]
    assert (links.placed, links.owner_unknown, links.not_in_filemaker) == (3, 2, 2)
    assert (links.right_already, links.fixed) == (1, {"unlinked": 2})


def test_an_image_of_a_person_who_stays_for_another_row_hangs_on_that_person(
    tmp_path: Path,
) -> None:
    """A person whom FileMaker does not have any more, and who was to go; a visit points there."""
    purge = EntityDecisions.model_validate({"not_in_filemaker": "purge"})
    keep = EntityDecisions.model_validate({"no_filemaker_id": "keep"})
    visits = {"id": "uuid", "person_id": "integer"}
    pointer = Pointer("visit", ("person_id",), "foreign key", "people", 1, 0, ("id",))
    made = with_images(
        tmp_path,
        {"fid": "I1", "path": None, "object": None},
        {"fid": "I2", "path": None, "object": None},
        columns=COLUMNS | {"visits": visits},
        records={"people": [], "images": [{"id": "I1", "of": "p3"}, {"id": "I2", "of": "P2"}]},
        rows={
            "people": [{"id": str(n), "fid": f"P{n}"} for n in (2, 3)],
            "visits": [{"id": "00000000-0000-4000-8000-000000000001", "person_id": "3"}],
        },
        pointers=(pointer,),
        decisions={"people": purge, "visits": keep},
    ).planned()
    assert [*made.rows("people")] == ["3"]
    assert ("people", "P3", "3") in made.lines(made.plan.id_map)
    assert made.lines(made.plan.links["images"].file) == [("K0", "3", "")]
    lines = {line[4]: line[2:4] for line in made.ledger if line[0] == "images"}
    assert lines == {"I1": ("linked", None), "I2": ("left out", "owner_not_loaded")}


def test_a_record_whose_number_is_also_of_another_person_is_not_said_to_be_linked(
    tmp_path: Path,
) -> None:
    rows = [
        {"fid": None, "path": "bulk/16.jpg", "object": None},  # of I6 and I7, of two people
        {"fid": "I7", "path": None, "object": None},
        {"fid": None, "path": "bulk/18.jpg", "object": None},  # of I8 and I9, of one
    ]
    made = of_images(tmp_path, *rows)
    fixed = {key: to for key, to, _ in made.lines(made.plan.links["images"].file)}
    assert fixed == {"K1": "2", "K2": "1"}
    lines = {line[4]: (line[2], line[5]) for line in made.ledger if line[0] == "images"}
    linked = {"I7": ("linked", "K1"), "I8": ("linked", "K2"), "I9": ("linked", "K2")}
    assert lines == dict.fromkeys(lines, ("left out", None)) | linked
    (account,) = (a for a in made.plan.accounts if a.source == "images")
    assert (account.linked, account.left_out) == (3, {"not_in_nexus": 6})


def test_of_two_files_of_one_record_the_one_that_carries_its_id_is_in_its_line(
    tmp_path: Path,
) -> None:
    made = of_images(
        tmp_path,
        {"fid": None, "path": "bulk/11.jpg", "object": None},
        {"fid": "I1", "path": None, "object": None},
    )
    (line,) = [line for line in made.ledger if line[4] == "I1"]
    assert line == ("images", "images", "linked", None, "I1", "K1")
    fixed = {key: to for key, to, _ in made.lines(made.plan.links["images"].file)}
    assert fixed == {"K0": "1", "K1": "1"}, "both are of that person"


@pytest.mark.parametrize(
    ("second", "is_torn"),
    [("I8", False), ("I2", True), ("I4", True), ("I5", True), ("I3", True), ("I0", True)],
)
def test_a_batch_is_moved_only_if_all_its_images_are_of_one_person(
    tmp_path: Path, second: str, is_torn: bool
) -> None:
    batch: list[Row] = [{"fid": f, "path": "", "object": "2", "batch": "B"} for f in ("I1", second)]
    made = of_images(tmp_path, *batch)
    links = made.plan.links["images"]
    assert links.split_groups == (("B",) if is_torn else ())
    assert links.fixed == ({} if is_torn else {"another owner": 1})
    (line,) = [line for line in made.ledger if line[4] == "I1"]
    shared = "its batch is not of one owner alone: its link stays"
    assert line == ("images", "images", "linked", shared if is_torn else None, "I1", "K0")
    record = tmp_path / "record"
    record.mkdir()
    listings.ids(made.plan, tmp_path, record)
    assert (shared in (record / "ledger.csv").read_text()) is is_torn


@pytest.mark.parametrize(
    ("second", "is_torn"),
    [("I8", False), ("I2", True), ("I4", True), ("I5", True), ("I3", False), ("I0", False)],
)
@pytest.mark.parametrize("linked", [None, "99"])
def test_a_batch_of_nobody_gets_the_only_person_that_filemaker_names(
    tmp_path: Path, linked: str | None, second: str, is_torn: bool
) -> None:
    batch: list[Row] = [
        {"fid": f, "path": "", "object": linked, "batch": "B"} for f in ("I1", second)
    ]
    made = of_images(tmp_path, *batch)
    links = made.plan.links["images"]
    assert links.split_groups == (("B",) if is_torn else ())
    assert made.lines(links.file) == ([] if is_torn else [("B", "1", "")])


def test_without_a_reimport_the_row_that_carries_an_id_counts_and_then_the_noted_one(
    tmp_path: Path,
) -> None:
    owners = {
        "P1": "1",
        "p2": "2",
        "P3": "3",
        "p4": "4",
        "P7": None,
        "P8": None,
        "P9": None,
        "": None,
    }
    images = [{"id": f"I{n}", "of": of, "recid": ""} for n, of in enumerate(owners)]
    rows = [{"fid": f"I{n}", "path": "", "object": None} for n in range(len(owners))]
    carried = {"0": "P9", "00": "p9", "1": "p1", "2": "P2", "3": None, "4": "P4"}
    noted = [
        ("P7", "2"),  # that row carries another id by now
        ("P2", "1"),  # another row carries that id by now
        ("P8", "99"),  # deleted since
        ("P9", "00"),  # two rows carry it
        ("P3", "3"),
    ]
    clinic = with_images(
        tmp_path,
        *rows,
        records={"images": images},
        rows={"people": [{"id": key, "fid": fid} for key, fid in carried.items()]},
        id_map=[("people", *pair) for pair in noted],
    )
    intake = clinic.intake()
    made = PlannedAlone(intake, plan.relink(intake, as_of=NOW))
    fixed = {key: to for key, to, _ in made.lines(made.plan.links["images"].file)}
    assert fixed == {f"K{n}": to for n, to in enumerate(owners.values()) if to}
    assert made.lines(made.plan.id_map) == [
        ("people", "P2", "2"),
        ("people", "P3", "3"),
        ("people", "P4", "4"),
        ("people", "p1", "1"),
    ]
    assert (made.plan.entities, made.plan.by_hand) == ({}, ())
