"""FileMaker decides what it knows, Nexus keeps what only Nexus knows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_reimport.mapping import Entity
from nexus_reimport.model import ColumnChange
from nexus_reimport.planning.merge import Merger, as_text


def merger(columns: dict[str, Any], **decisions: Any) -> Merger:
    spec = Entity.model_validate({"table": "t", "source": "s", "identity": [], "columns": columns})
    return Merger(spec, decisions, {"data", "card"})


def merged(made: Merger, row: dict[str, Any], fed: dict[str, Any]) -> dict[str, Any]:
    return made.merge("key", row, fed, existed=True)


def of(made: Merger, column: str) -> ColumnChange:
    (found,) = [change for change in made.changes() if change.column == column]
    return found


def test_an_empty_field_keeps_what_nexus_has() -> None:
    made = merger({"name": {"from": "n"}})
    assert merged(made, {"name": "x", "other": "y"}, {"name": None}) == {"name": "x", "other": "y"}
    assert made.changes()[0].kept == 1


def test_an_empty_field_clears_where_the_mapping_says_so() -> None:
    made = merger({"name": {"from": "n", "when_empty": "clear"}})
    assert merged(made, {"name": "x"}, {"name": None}) == {"name": None}
    assert (made.changes()[0].cleared, made.changes()[0].gone) == (1, 1)
    assert made.differences == [("key", "name", "x", "")]


@pytest.mark.parametrize(("who", "left"), [("filemaker", "b"), ("nexus", "a")])
def test_another_value_is_settled_by_the_decision(who: str, left: str) -> None:
    made = merger({"name": {"from": "n"}}, name=who)
    assert merged(made, {"name": "a"}, {"name": "b"}) == {"name": left}
    assert made.changes()[0].different == 1
    assert made.differences == [("key", "name", "a", "b")]


def test_a_difference_that_nobody_decided_is_counted_and_has_no_decision() -> None:
    made = merger({"name": {"from": "n"}})
    merged(made, {"name": "a"}, {"name": "b"})
    (change,) = made.changes()
    assert (change.decision, change.gone, change.undecided, change.lost) == (None, 1, 1, 0)


def test_a_stamp_about_which_the_mapping_decides_is_told_from_a_patients_data() -> None:
    columns = {"created": {"from": "c", "when_different": "filemaker"}, "sent": {"from": "s"}}
    rule = {"rule": "as_of"}
    spec = Entity.model_validate(
        {"table": "t", "source": "s", "identity": [], "columns": columns}
        | {"new": {"created": rule, "sent": rule}}
    )
    changes = {c.column: c.is_stamp for c in Merger(spec, {}, set()).changes()}
    assert changes == {"created": True, "sent": False}


def test_an_id_in_another_case_is_the_same_and_stays_as_it_was_written() -> None:
    made = merger({"data.id": {"from": "n"}})
    held = "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE"
    row = {"data": json.dumps({"id": held})}
    assert merged(made, row, {"data.id": held.lower()}) == row
    assert made.changes()[0].same == 1


@pytest.mark.parametrize(("held", "fed"), [("Anna ", "Anna"), ("\n seen", "seen"), ("x", "x\n")])
def test_outer_blanks_are_no_difference_and_become_as_filemaker_has_them(
    held: str, fed: str
) -> None:
    made = merger({"name": {"from": "n"}, "data.name": {"from": "n"}})
    row = {"name": held, "data": json.dumps({"name": held})}
    after = merged(made, row, {"name": fed, "data.name": fed})
    assert (after["name"], json.loads(str(after["data"]))) == (fed, {"name": fed})
    assert [(c.same, c.respelt, c.different, c.gone) for c in made.changes()] == [(1, 1, 0, 0)] * 2
    ours = merger({"name": {"from": "n"}}, name="nexus")
    assert merged(ours, {"name": held}, {"name": fed}) == {"name": held}
    assert (ours.changes()[0].same, ours.changes()[0].respelt) == (1, 0)


def test_blanks_inside_of_a_text_are_no_difference_only_where_the_column_is_folded() -> None:
    made = merger({"name": {"from": "n", "folded": True}, "other": {"from": "n"}})
    held, fed = {"name": "a  b", "other": "a  b"}, {"name": "a\nb", "other": "a\nb"}
    assert merged(made, held, fed)["name"] == "a\nb"
    assert [(c.same, c.respelt, c.different) for c in made.changes()] == [(1, 1, 0), (0, 0, 1)]


@pytest.mark.parametrize("folded", [True, False])
def test_the_very_same_text_is_not_respelt(folded: bool) -> None:
    made = merger({"name": {"from": "n", "folded": folded}})
    assert merged(made, {"name": "a\nb"}, {"name": "a\nb"}) == {"name": "a\nb"}
    assert (made.changes()[0].same, made.changes()[0].respelt) == (1, 0)


def test_keys_that_nobody_feeds_survive_with_every_digit() -> None:
    made = merger({"data.id": {"from": "n"}})
    row = {"data": '{"own": 0.10000000000000000001, "list": [1.50]}'}
    after = merged(made, row, {"data.id": "7"})
    assert '"own": 0.10000000000000000001' in str(after["data"])
    assert "1.50" in str(after["data"])
    assert json.loads(str(after["data"]))["id"] == "7"


def test_a_key_inside_a_key_is_merged_and_its_neighbours_stay() -> None:
    made = merger({"data.ndis.name": {"from": "n"}})
    after = merged(made, {"data": '{"ndis": {"phone": "1"}}'}, {"data.ndis.name": "x"})
    assert json.loads(str(after["data"])) == {"ndis": {"phone": "1", "name": "x"}}


CARD = {
    "card": {
        "gather": "d",
        "convert": "contact_card",
        "keys": ["phones", "emails", "email"],
        "replaces": ["phone", "mobile"],
        "with": {
            "kind": "k",
            "value": "v",
            "label": "l",
            "default_mobile": "m",
            "default_email": "e",
        },
    }
}
NEW = {
    "phones": [{"type": "mobile", "number": "0491 570 001", "phone": "0491 570 001", "label": ""}]
}


def test_an_old_shape_that_says_the_same_is_replaced_and_own_keys_stay() -> None:
    made = merger(CARD)
    row = {"card": '{"mobile": {"home": {"value": "0491570001"}}, "preferred": "post"}'}
    after = json.loads(str(merged(made, row, {"card": NEW})["card"]))
    # whose number it is, Nexus alone knows
    assert after == {"phones": [{**NEW["phones"][0], "label": "home"}], "preferred": "post"}
    assert of(made, "card.phones").same == 1


def test_a_number_that_only_nexus_has_is_a_difference() -> None:
    made = merger(CARD, card="nexus")
    row = {"card": '{"mobile": {"home": {"value": "0491570002"}}}'}
    assert merged(made, row, {"card": NEW}) == row
    assert made.changes()[0].different == 1


def test_a_person_without_details_keeps_their_card() -> None:
    made = merger(CARD)
    row = {"card": '{"mobile": "0491570002"}'}
    assert merged(made, row, {"card": {}}) == row
    assert made.changes()[0].kept == 1


def test_a_second_merge_changes_nothing() -> None:
    made = merger(CARD, card="filemaker")
    once = merged(made, {"card": '{"mobile": "0491570002", "x": 1}'}, {"card": NEW})
    assert merged(merger(CARD), once, {"card": NEW}) == once


def test_a_card_that_says_the_same_keeps_its_labels_and_gets_both_keys() -> None:
    made = merger(CARD, card="filemaker")
    row = {"card": '{"phones": [{"number": "0491570001", "label": "Daughter"}]}'}
    after = json.loads(str(merged(made, row, {"card": NEW})["card"]))
    assert after == {
        "phones": [{"number": "0491570001", "phone": "0491570001", "label": "Daughter"}]
    }


def test_another_first_email_is_a_difference() -> None:
    made = merger(CARD, card="nexus")
    emails = [{"address": "a@b.example", "label": ""}, {"address": "c@d.example", "label": ""}]
    row = {"card": json.dumps({"emails": emails, "email": "c@d.example"})}
    assert merged(made, row, {"card": {"emails": emails, "email": "a@b.example"}}) == row
    assert of(made, "card.emails").different == 1
    assert made.differences == [("key", "card.emails", "first: c@d.example", "first: a@b.example")]


def test_of_a_key_that_stands_twice_in_a_json_column_what_goes_is_counted_and_listed() -> None:
    """Type ``json`` keeps both; FileMaker's part is put in, and each key then stands once."""
    held = '{"own": "first", "own": "last", "x": 1}'
    made = merger({"data.name": {"from": "n"}})
    row = merged(made, {"data": held}, {"data.name": "new"})
    assert json.loads(str(row["data"])) == {"own": "last", "x": 1, "name": "new"}
    assert of(made, "data.name").gone == 1
    assert made.differences == [
        ("key", "data.name", '{"own": "first"}', "a later value of own"),
    ]
    untouched = merger({"data.x": {"from": "n"}})
    assert merged(untouched, {"data": held}, {"data.x": "1"}) == {"data": held}
    assert (of(untouched, "data.x").gone, untouched.differences) == (0, [])


def test_half_a_character_in_a_json_column_can_be_written_and_listed() -> None:
    made = merger({"data.name": {"from": "n"}}, **{"*": "filemaker"})
    held = r'{"name": "x\ud800", "own": "y\ud800"}'
    row = merged(made, {"data": held}, {"data.name": "new"})
    assert row["data"] == r'{"name": "new", "own": "y\ud800"}'
    assert [as_text(was) for _, _, was, _ in made.differences] == ["x\ufffd"]


def test_text_where_filemaker_has_parts_is_left_alone() -> None:
    made = merger({"data.ndis.name": {"from": "n"}}, **{"*": "filemaker"})
    row = {"data": '{"ndis": "free text"}'}
    assert merged(made, row, {"data.ndis.name": "x"}) == row
    assert made.changes()[0].kept == 0, "that counts the values for which FileMaker is empty"
    assert made.blocked == ["data.ndis.name"]
    assert made.differences == [("key", "data.ndis.name", "free text", "x")]


@pytest.mark.parametrize("held", ['"free text"', '["a", "b"]', "7", "true", '{"ndis": ["a"]}'])
def test_what_is_no_object_where_a_key_belongs_is_never_given_up(held: str) -> None:
    made = merger({"data.ndis.name": {"from": "n"}, "data.ndis.id": {"from": "i"}})
    fed = {"data.ndis.name": "x", "data.ndis.id": None}
    assert merged(made, {"data": held}, fed) == {"data": held}
    assert [change.kept for change in made.changes()] == [0, 1]
    assert made.blocked == ["data.ndis.name"]
    assert [line[1] for line in made.differences] == ["data.ndis.name"]


@pytest.mark.parametrize("held", [None, "null", '""', "[]", "{}", '{"ndis": null}', '{"ndis": ""}'])
def test_what_says_nothing_gives_way_to_an_object(held: str | None) -> None:
    made = merger({"data.ndis.name": {"from": "n"}})
    after = merged(made, {"data": held}, {"data.ndis.name": "x"})
    assert json.loads(str(after["data"])) == {"ndis": {"name": "x"}}
    assert (made.changes()[0].filled, made.differences) == (1, [])


@pytest.mark.parametrize(
    ("held", "fed", "is_same"),
    [
        ("1", "1", True),
        ("1.0", "1", True),
        ("1", "1.0", True),
        ("true", "1", True),
        ("false", "0", True),
        ("1234567890123456789012", "1234567890123456789012", True),
        ("1234567890123456789012", "1234567890123456789013", False),
        ("0.10000000000000000001", "0.1", False),
        ("10", "1_0", False),
        ("2", "\N{ARABIC-INDIC DIGIT TWO}", False),
        ("1", "sNaN", False),
        ("false", "no", False),
        ('["1"]', "1", False),
        ("0", "0.0", True),
        ("-0.5", "-0.50", True),
        # What a spreadsheet has made of a phone, or of a code, is another text.
        ("491570001", "0491570001", False),
        ("491570001", " 0491570001", False),
        ("491570001.0", "0491570001", False),
        ("61491570001", "+61491570001", False),
        ("7", "007", False),
        ("0", "00", False),
        ("-7", "-07", False),
    ],
)
def test_numbers_in_json_are_compared_as_numbers(held: str, fed: str, is_same: bool) -> None:
    made = merger({"data.n": {"from": "n"}}, **{"data.n": "nexus"})
    row = {"data": f'{{"n": {held}}}'}
    assert merged(made, row, {"data.n": fed}) == row
    assert (made.changes()[0].same, made.changes()[0].different) == (is_same, not is_same)


@pytest.mark.parametrize(
    ("fed", "written"),
    [
        ("0", "0"),  # the text "0" is true to its readers
        ("-3", "-3"),
        ("1.50", "1.50"),
        ("about 5", '"about 5"'),
        ("007", '"007"'),
        ("-0", '"-0"'),
        ("1e5", '"1e5"'),
        ("1,5", '"1,5"'),
    ],
)
@pytest.mark.parametrize(
    "held", [None, "{}", '{"flag": 77}', '{"flag": "old"}', '{"flag": "0"}', '{"flag": "1.5"}']
)
def test_a_number_of_filemaker_is_one_in_json_too(held: str | None, fed: str, written: str) -> None:
    columns = {"data.flag": {"from": "n"}, "data.name": {"from": "t"}}
    spec = {"table": "t", "source": "s", "identity": [], "columns": columns}
    made = Merger(Entity.model_validate(spec), {"*": "filemaker"}, {"data"}, {"n"})
    row = merged(made, {"data": held}, {"data.flag": fed, "data.name": "5"})
    assert row["data"] == f'{{"flag": {written}, "name": "5"}}'
    respelt = of(made, "data.flag").same
    again = merged(made, row, {"data.flag": fed, "data.name": "5"})
    assert (again, of(made, "data.flag").same) == (row, respelt + 1)


def test_an_id_in_json_stays_a_text() -> None:
    spec = {
        "table": "t",
        "source": "s",
        "identity": [],
        "filemaker_id": "data.id",
        "columns": {"data.id": {"from": "n"}},
    }
    made = Merger(Entity.model_validate(spec), {}, {"data"}, {"n"})
    assert merged(made, {"data": None}, {"data.id": "7"}) == {"data": '{"id": "7"}'}


def test_the_zero_that_a_spreadsheet_has_removed_from_a_phone_comes_back() -> None:
    made = merger({"data.phone": {"from": "n", "when_different": "filemaker"}})
    after = merged(made, {"data": '{"phone": 491570001}'}, {"data.phone": "0491570001"})
    assert json.loads(str(after["data"])) == {"phone": "0491570001"}
    assert (made.changes()[0].different, made.changes()[0].gone) == (1, 1)


@pytest.mark.parametrize(
    ("held", "new", "after", "gone"),
    [
        ("own", "of a new row", "of a new row", 1),
        ("of a new row", "of a new row", "of a new row", 0),  # else the next run would clear it
        ("own", {"rule": "as_of"}, "own", 0),
    ],
)
def test_what_is_cleared_becomes_what_a_new_row_has(
    held: str, new: Any, after: str, gone: int
) -> None:
    columns = {"name": {"from": "n", "when_empty": "clear"}}
    spec = {"table": "t", "source": "s", "identity": [], "columns": columns, "new": {"name": new}}
    made = Merger(Entity.model_validate(spec), {}, set())
    assert merged(made, {"name": held}, {"name": None}) == {"name": after}
    assert (of(made, "name").cleared, len(made.differences)) == (gone, gone)


def test_a_whole_json_column_that_is_cleared_keeps_its_kind() -> None:
    made = merger({"data": {"from": "n", "when_empty": "clear"}})
    assert merged(made, {"data": '["page"]'}, {"data": []}) == {"data": "[]"}
    assert made.differences == [("key", "data", ["page"], "")]


def test_a_key_that_is_cleared_goes_alone_and_is_counted_and_listed() -> None:
    made = merger({"data.ndis.name": {"from": "n", "when_empty": "clear"}})
    row = {"data": '{"ndis": {"name": "x", "own": 1}, "more": 2}'}
    after = merged(made, row, {"data.ndis.name": None})
    assert json.loads(str(after["data"])) == {"ndis": {"own": 1}, "more": 2}
    assert (made.changes()[0].cleared, made.changes()[0].gone) == (1, 1)
    assert made.differences == [("key", "data.ndis.name", "x", "")]


@pytest.mark.parametrize("held", ["null", '""', "[]", "{}"])
def test_a_key_that_says_nothing_is_filled_and_is_no_difference(held: str) -> None:
    made = merger({"data.n": {"from": "n"}}, **{"*": "nexus"})
    after = merged(made, {"data": f'{{"n": {held}}}'}, {"data.n": "x"})
    assert json.loads(str(after["data"])) == {"n": "x"}
    assert (made.changes()[0].filled, made.changes()[0].different, made.differences) == (1, 0, [])


# ---------------------------------------------------------------- what is counted of which row


def counted(made: Merger) -> list[tuple[int, ...]]:
    """Per column: filled, different, cleared, kept, same, gone."""
    return [(c.filled, c.different, c.cleared, c.kept, c.same, c.gone) for c in made.changes()]


NOTHING = (0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("when_empty", ["keep", "clear"])
def test_a_new_row_keeps_its_default_where_filemaker_is_empty_and_nothing_is_counted(
    when_empty: str,
) -> None:
    column = {"from": "n", "when_empty": when_empty}
    made = merger({"name": column, "data.name": column}, **{"*": "filemaker"})
    row = {"name": "default", "data": '{"name": "default"}'}
    assert made.merge("key", row, {"name": None, "data.name": None}, existed=False) == row
    fed = {"name": "x", "data.name": "y"}
    after = made.merge("key", row, fed, existed=False)
    assert (after["name"], json.loads(str(after["data"]))) == ("x", {"name": "y"})
    assert (counted(made), made.differences) == ([NOTHING, NOTHING], [])


@pytest.mark.parametrize("held", [None, ""])
@pytest.mark.parametrize("when_empty", ["keep", "clear"])
def test_where_both_sides_are_empty_nothing_is_kept_and_nothing_is_cleared(
    when_empty: str, held: str | None
) -> None:
    made = merger({"name": {"from": "n", "when_empty": when_empty}})
    assert merged(made, {"name": held}, {"name": None}) == {"name": held}
    assert (counted(made), made.differences) == ([NOTHING], [])


@pytest.mark.parametrize("held", [None, "{}", '{"ndis": null}', '{"ndis": {}}', '{"other": 1}'])
def test_a_place_for_which_nobody_has_a_value_is_not_made(held: str | None) -> None:
    made = merger({"data.ndis.notes": {"from": "n", "when_empty": "clear"}})
    assert merged(made, {"data": held}, {"data.ndis.notes": None}) == {"data": held}


def test_several_keys_of_one_column_are_all_merged() -> None:
    made = merger({"data.a": {"from": "n"}, "data.b.c": {"from": "m"}, "data.b.d": {"from": "o"}})
    after = merged(made, {"data": '{"own": 1}'}, {"data.a": "x", "data.b.c": "y", "data.b.d": "z"})
    assert json.loads(str(after["data"])) == {"own": 1, "a": "x", "b": {"c": "y", "d": "z"}}


@pytest.mark.parametrize(
    ("held", "fed", "after"),
    [
        (None, None, None),
        (None, ["x"], '["x"]'),
        ("[]", None, "[]"),
        ("{}", ["x"], '["x"]'),
        ('["own"]', None, '["own"]'),
        ('"text"', ["x"], '["x"]'),
    ],
)
def test_a_whole_json_column_is_filled_or_stays(
    held: str | None, fed: list[str] | None, after: str | None
) -> None:
    made = merger({"data": {"from": "n"}}, **{"*": "filemaker"})
    assert merged(made, {"data": held}, {"data": fed})["data"] == after


@pytest.mark.parametrize(
    ("held", "is_same"),
    [
        ('[{"a": 1, "b": [2, 3]}]', True),
        ('[{"b": [2, 3], "a": 1.0}]', False),  # as PostgreSQL prints them, they are two numbers
        ('[{"b": [2,3], "a": 1}]', True),
        ('[{"a": 1, "b": [3, 2]}]', False),
        ('[{"a": true, "b": [2, 3]}]', False),
        ('[{"a": 1, "b": [2, 3]}, null]', False),
        ('{"a": 1, "b": [2, 3]}', False),
    ],
)
def test_a_json_column_that_says_the_same_stays_as_it_is_written(held: str, is_same: bool) -> None:
    made = merger({"data": {"from": "n"}}, **{"*": "filemaker"})
    after = merged(made, {"data": held}, {"data": [{"a": 1, "b": [2, 3]}]})["data"]
    assert (after == held) is is_same
    assert (of(made, "data").same, of(made, "data").different) == (is_same, not is_same)
    assert bool(made.differences) is not is_same


@pytest.mark.parametrize("held", ["0", "false", '"text"', '["own"]', '{"own": 0}'])
def test_whatever_a_json_column_holds_is_counted_where_it_goes(held: str) -> None:
    made = merger({"data": {"from": "n"}}, **{"*": "filemaker"})
    assert merged(made, {"data": held}, {"data": ["x"]})["data"] == '["x"]'
    assert counted(made) == [(0, 1, 0, 0, 0, 1)]
    made = merger({"data": {"from": "n", "when_empty": "clear"}})
    after = merged(made, {"data": held}, {"data": None})["data"]
    assert json.loads(str(after)) in (None, [], {})
    assert counted(made) == [(0, 0, 1, 0, 0, 1)]


def test_filled_values_are_counted_before_and_after_by_column_and_by_key() -> None:
    made = merger({"name": {"from": "n"}, "data.a": {"from": "m"}, "data.b.c": {"from": "o"}})
    made.count_before({"name": "x", "data": '{"a": "1", "b": "text"}'})
    made.count_before({"name": None, "data": None})
    made.count_after({"name": "x", "data": '{"b": {"c": "2"}}'})
    counts = [(c.filled_before, c.filled_after) for c in made.changes()]
    assert counts == [(1, 1), (1, 0), (0, 1)]
    for held in ("0", "false"):  # values like any other
        whole = merger({"data": {"from": "n"}, "data.a": {"from": "m"}})
        whole.count_before({"data": held})
        whole.count_before({"data": f'{{"a": {held}}}'})
        assert [c.filled_before for c in whole.changes()] == [2, 1]
    made.count_again()
    made.count_after({"name": "", "data": '{"a": ""}'})
    assert [(c.filled_before, c.filled_after) for c in made.changes()] == [(1, 0), (1, 0), (0, 0)]


def test_whether_a_row_holds_a_value_is_asked_by_column_and_by_key() -> None:
    made = merger({"name": {"from": "n"}, "data.a": {"from": "m"}})
    row = {"name": "x", "data": '{"a": "1"}', "other": "y"}
    assert made.holds(row, "name")
    assert made.holds(row, "data.a")
    assert not made.holds(row, "other"), "FileMaker does not feed it"
    assert not made.holds({"name": "", "data": '{"b": "1"}'}, "name")
    assert not made.holds({"name": "", "data": '{"b": "1"}'}, "data.a")
    assert not made.holds({"name": "", "data": None}, "data.a")
