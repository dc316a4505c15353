"""Contact cards: phones and e-mails of both sides in one card; nothing goes uncounted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cards import Side, address, email, holds, mobile

MUM, HOME = "0491 570 001", "(02) 5550 1234"


def test_phones_that_filemaker_does_not_hold_stay() -> None:
    held = {"phones": [{"type": "mobile", "number": MUM, "label": "Mum"}], "own": 1}
    made = Side(held, [email("a@b.example")])
    assert made.card == {
        **held,
        "emails": [{"address": "a@b.example", "label": ""}],
        "email": "a@b.example",
    }
    assert (made.of("phones").kept, made.of("emails").filled) == (1, 1)
    assert made.merger.differences == []


def test_each_part_is_counted_cleared_decided_and_listed_for_itself() -> None:
    held = {"mobile": {"Mum": {"value": MUM}, "Me": {"value": HOME}}, "email": "old@b.example"}
    fed = [mobile("0491 570 009"), email("new@b.example")]
    made = Side(held, fed, {"card.phones": "nexus", "card": "filemaker"})
    assert made.card == {
        "mobile": held["mobile"],
        "email": "new@b.example",
        "emails": [{"address": "new@b.example", "label": ""}],
    }
    assert (made.of("phones").decision, made.of("emails").decision) == ("nexus", "filemaker")
    assert (made.of("phones").different, made.of("phones").gone) == (1, 0)
    assert (made.of("emails").different, made.of("emails").gone) == (1, 1)
    assert made.listed("phones") == [f"{MUM} (Mum)", f"{HOME} (Me)"]
    assert "old@b.example" in made.listed("emails")
    wide = Side(held, fed, {"*": "filemaker"})
    assert [(c.decision, c.gone) for c in wide.merger.changes()] == [
        ("filemaker", 2),
        ("filemaker", 1),
    ]
    assert [c.decision for c in Side(held, fed).merger.changes()] == [None, None]


def test_beside_what_nexus_has_stands_all_that_filemaker_has_each_once() -> None:
    other = "0491 570 009"
    made = Side({"phones": [{"number": MUM}]}, [mobile(other), mobile(HOME), mobile(other)])
    assert made.merger.differences == [("key", "card.phones", MUM, f"{other}; {HOME}")]


def test_a_part_that_is_cleared_is_counted_by_rows_and_by_values() -> None:
    held = {"phones": [{"number": MUM, "label": "Mum"}, {"number": HOME}], "email": "a@b.example"}
    made = Side(held, [email("a@b.example")], when_empty="clear")
    assert "phones" not in made.card
    assert (made.of("phones").cleared, made.of("phones").gone) == (1, 2)
    assert made.listed("phones") == [f"{MUM} (Mum)", HOME]
    assert made.of("emails").cleared == 0


@pytest.mark.parametrize(
    "held",
    [
        f"{MUM}, a@b.example",
        f"a@b.example {MUM}",
        [MUM, "a@b.example"],
        [{"type": "mobile", "value": MUM}, {"type": "email", "value": "a@b.example"}],
        [{"number": MUM}, {"address": "a@b.example", "label": "work"}],
        [[MUM], ["a@b.example"]],
    ],
)
def test_a_card_that_is_a_text_or_a_list_is_taken_apart_and_nothing_of_it_is_lost(
    held: Any,
) -> None:
    made = Side(held, [mobile("0491570001")])
    assert (made.of("phones").same, made.of("emails").kept) == (1, 1)
    assert "a@b.example" in json.dumps(made.card)
    assert made.card["phones"][0]["number"] in (MUM, "0491570001")
    assert made.card["emails"][0].keys() & {"address", "value"}
    other = Side(held, [mobile("0491 570 009")], {"card.phones": "nexus"})
    assert other.after == other.row, "as it was, to the letter"
    gone = Side(held, [mobile("0491 570 009"), email("c@d.example")], {"*": "filemaker"})
    assert (gone.of("phones").gone, gone.of("emails").gone) == (1, 1)
    assert gone.listed("phones") == [MUM]
    assert [one.partition(" ")[0] for one in gone.listed("emails")][-1] == "a@b.example"


def test_of_a_list_only_what_says_something_becomes_an_entry() -> None:
    """The application reads a key of each entry: it cannot read ``null`` or ``true``."""
    made = Side([None, "", True, [], {}, MUM], [email("a@b.example")])
    assert made.card["phones"] == [{"type": "phone", "number": MUM, "phone": MUM, "label": ""}]
    one = Side([MUM, "a@b.example"], [mobile(MUM), mobile(HOME)])
    assert one.card["emails"] == [{"address": "a@b.example", "label": ""}]
    assert one.card["email"] == "a@b.example"
    several = Side([MUM, "a@b.example", "c@d.example"], [mobile(MUM), mobile(HOME)])
    assert "email" not in several.card, "which is the first, nobody has said"


@pytest.mark.parametrize("held", [None, "", [], {}, "  ", 0, 491570001, True, [None, ""], [True]])
def test_a_card_of_any_other_kind_breaks_nothing(held: Any) -> None:
    made = Side(held, [mobile("0491 570 009")], {"*": "filemaker"})
    assert made.card["phones"][0]["number"] == "0491 570 009"
    assert made.of("phones").gone == (held in (0, 491570001) and held is not False)
    assert Side(held, []).after == {"card": held if held is None else json.dumps(held)}


@pytest.mark.parametrize(
    "fed",
    [
        "0491570001",
        "+61 491 570 001",
        "0491-570-001",
        "61491570001",
        "491570001",
        "\u202a0491 570 001\u202c",  # pasted from an address book
        "0491\N{EN DASH}570\N{NON-BREAKING HYPHEN}001",
    ],
)
def test_a_number_in_another_format_is_the_same_number(fed: str) -> None:
    held = {"phones": [{"number": MUM, "label": "Mum"}]}
    made = Side(held, [mobile(fed, label="Home")])
    assert made.card == {"phones": [{"number": MUM, "phone": MUM, "label": "Mum"}]}
    assert (made.of("phones").same, made.merger.differences) == (1, [])


def test_an_email_with_marks_that_nobody_sees_is_the_same_email() -> None:
    made = Side({"emails": [{"address": "a@b.example"}]}, [email("\u202aA@b.example\u200b")])
    assert made.card == {"emails": [{"address": "a@b.example"}]}
    assert (made.of("emails").same, made.merger.differences) == (1, [])


def test_a_key_of_nexus_that_holds_flags_or_nothing_stays_on_its_phone() -> None:
    own = {"consent": {"sms": True, "calls": False}, "tags": [], "seen": None}
    made = Side({"phones": [{"number": MUM, **own}]}, [mobile(MUM), mobile(HOME)])
    assert made.of("phones").filled == 1
    assert {key: made.card["phones"][0].get(key, "lost") for key in own} == own


def test_a_text_beside_an_empty_number_goes_only_where_it_is_counted() -> None:
    held = {"phones": [{"number": MUM}, {"number": "", "label": "", "note": "after five"}]}
    made = Side(held, [mobile(MUM), mobile(HOME)], {"*": "filemaker"})
    assert (made.of("phones").different, made.of("phones").gone) == (1, 1)
    assert holds(made.listed("phones"), "after five")
    kept = Side(held, [mobile(MUM), mobile(HOME)], {"*": "nexus"})
    assert kept.card == held


@pytest.mark.parametrize("shape", ["phones", "mobile"])
def test_of_two_entries_that_become_one_what_only_the_second_says_is_counted(shape: str) -> None:
    twice = [{"number": MUM, "note": "her"}, {"number": "0491570001", "note": "his", "id": 7}]
    held = {shape: twice}
    made = Side(held, [mobile(MUM), mobile(HOME)], {"*": "filemaker"})
    assert [phone.get("note") for phone in made.card["phones"]] == ["her", None]
    assert (made.of("phones").different, made.of("phones").gone) == (1, 1)
    assert "his" in made.listed("phones")[0]
    kept = Side(held, [mobile(MUM), mobile(HOME)], {"*": "nexus"})
    assert kept.card == held
    less = Side({shape: [*twice, {"number": HOME}]}, [mobile(MUM)], {"*": "filemaker"})
    assert less.of("phones").gone == 2
    same = Side({"phones": twice}, [mobile(MUM)])
    assert [phone["note"] for phone in same.card["phones"]] == ["her", "his"]
    assert (same.of("phones").same, same.of("phones").gone) == (1, 0)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({"note": "her"}, {"note": ""}, {"note": "her"}),
        ({"note": None}, {"note": "her"}, {"note": "her"}),
        ({"seen": [], "n": {}}, {"seen": 7, "n": 1}, {"seen": 7, "n": 1}),
        ({"label": "Mum"}, {"label": "MUM"}, {"label": "Mum"}),
        ({"type": "fax"}, {"type": "Fax"}, {"type": "fax"}),
    ],
)
def test_of_two_entries_that_become_one_nothing_goes_where_they_agree(
    first: dict[str, Any], second: dict[str, Any], both: dict[str, Any]
) -> None:
    held = {"phones": [{"number": MUM, **first}, {"number": "0491570001", **second}]}
    made = Side(held, [mobile(MUM), mobile(HOME)], {"*": "filemaker"})
    assert (made.of("phones").filled, made.of("phones").gone) == (1, 0)
    assert made.merger.differences == []
    assert len(made.card["phones"]) == 2
    assert both.items() <= made.card["phones"][0].items()


@pytest.mark.parametrize("cut", [491570001, "491570001", 491570001.0])
def test_a_mobile_whose_zero_a_spreadsheet_has_removed_is_spelt_as_filemaker_spells_it(
    cut: Any,
) -> None:
    held = {"phones": [{"number": cut, "label": "Mum", "sms_ok": True}, {"number": HOME}]}
    made = Side(held, [mobile(MUM), mobile(HOME)])
    first = made.card["phones"][0]
    assert (first["number"], first["phone"]) == (MUM, MUM)
    assert (first["label"], first["sms_ok"]) == ("Mum", True)
    change = made.of("phones")
    assert (change.same, change.respelt, change.gone) == (1, 1, 0)
    again = Side(made.card, [mobile(MUM), mobile(HOME)])
    assert (again.card, again.of("phones").respelt) == (made.card, 0)


@pytest.mark.parametrize("written", ["491570001.0", "0491570001.0"])
def test_a_phone_that_a_spreadsheet_wrote_as_a_number_is_no_other_one(written: str) -> None:
    held = {"phones": [{"number": MUM, "phone": MUM, "label": "Mum"}]}
    made = Side(held, [mobile(written)], {"card": "filemaker"})
    assert made.card == held
    assert (made.of("phones").same, made.of("phones").different) == (1, 0)
    home = {"phones": [{"number": "55501234", "phone": "55501234", "label": ""}]}
    assert Side(home, [mobile("55501234.0")], {"card": "filemaker"}).card == home


def test_a_mobile_that_lacks_its_zero_on_both_sides_is_left_alone() -> None:
    held = {"phones": [{"number": "491570001", "phone": "491570001", "label": ""}]}
    made = Side(held, [mobile("491570001")])
    once = Side(made.card, [mobile("491570001")])
    assert (once.card, once.of("phones").respelt) == (made.card, 0)


def test_labels_types_flags_and_own_keys_are_no_difference_and_are_not_given_up() -> None:
    held = {
        "mobile": {
            "Mum": {"value": MUM, "default": False, "sms_ok": False},
            "Me": {"value": HOME, "default": True},
        }
    }
    made = Side(held, [mobile(MUM), mobile(HOME, label="Home")])
    assert made.of("phones").same == 1
    me, mum = made.card["phones"]
    assert (me["number"], me["label"]) == (HOME, "Me"), "what was the default comes first"
    assert (mum["number"], mum["label"], mum["sms_ok"]) == (MUM, "Mum", False)
    right = Side(held, [mobile(MUM, label="Daughter")], {"*": "filemaker"})
    (mum,) = right.card["phones"]
    assert (mum["label"], mum["sms_ok"]) == ("Daughter", False)
    assert right.listed("phones") == [f"{HOME} (Me)", f"label of {MUM}: Mum"]
    assert right.merger.differences[-1][3] == f"label of {MUM}: Daughter"
    respelt = Side(held, [mobile(MUM, label="MUM")], {"*": "filemaker"})
    assert respelt.listed("phones") == [f"{HOME} (Me)"]


def test_a_type_of_nexus_stays_while_nothing_of_its_part_goes_and_else_it_is_listed() -> None:
    fax = {"number": MUM, "label": "", "type": "fax"}
    added = Side({"phones": [fax]}, [mobile(MUM), mobile(HOME)])
    assert [phone["type"] for phone in added.card["phones"]] == ["fax", "mobile"]
    assert (added.of("phones").filled, added.listed("phones")) == (1, [])
    right = Side({"phones": [fax, {"number": HOME}]}, [mobile(MUM)], {"*": "filemaker"})
    assert [phone["type"] for phone in right.card["phones"]] == ["mobile"]
    assert right.listed("phones") == [HOME, f"type of {MUM}: fax"]
    work = {"address": "a@b.example", "label": "", "type": "work"}
    emails = Side({"emails": [work]}, [email("a@b.example"), email("c@d.example")])
    assert emails.card["emails"][0] == work, "FileMaker knows no type of an e-mail"


@pytest.mark.parametrize("name", ["label", "type"])
def test_of_one_number_with_two_labels_or_types_what_goes_is_counted(name: str) -> None:
    held = {"phones": [{"number": MUM, name: "home"}, {"number": MUM, name: "fax"}]}
    made = Side(held, [mobile(MUM, label="home"), mobile(HOME)], {"*": "filemaker"})
    lost = 1 if name == "label" else 2  # FileMaker's label is one of them, its type is neither
    assert (made.of("phones").different, made.of("phones").gone) == (1, lost)
    kept = Side(held, [mobile(MUM, label="home"), mobile(HOME)], {"*": "nexus"})
    assert kept.card == held
    if name == "label":  # where FileMaker has none, the first one stays
        unnamed = Side(held, [mobile(MUM), mobile(HOME)], {"*": "filemaker"})
        assert (unnamed.card["phones"][0]["label"], unnamed.of("phones").gone) == ("home", 1)
    same = Side(held, [mobile(MUM)])
    assert (same.of("phones").same, len(same.card["phones"])) == (1, 2)


def test_one_number_with_two_labels_or_types_on_both_sides_keeps_both() -> None:
    """The second is rewritten in each run, because a spreadsheet has removed its zero."""
    cut = "491570001"
    held = {
        "phones": [
            {"number": MUM, "phone": MUM, "label": "Mum", "type": "mobile"},
            {"number": cut, "phone": cut, "label": "Home", "type": "phone"},
        ]
    }
    fed = [mobile(MUM, label="mum"), mobile(cut, label="home", kind="Phone")]
    for decisions in ({}, {"*": "filemaker"}):
        made = Side(held, fed, decisions)
        names = [(phone["label"], phone["type"]) for phone in made.card["phones"]]
        assert names == [("Mum", "mobile"), ("Home", "phone")]
        assert (made.of("phones").same, made.merger.differences) == (1, [])


ALONE = {"label": "12 Lee St, Ayr", "number": "", "line1": ""}


@pytest.mark.parametrize("decision", ["filemaker", "nexus"])
@pytest.mark.parametrize("among", [[ALONE], [ALONE, {"number": MUM, "line1": "1 High St"}]])
@pytest.mark.parametrize(
    ("part", "fed"), [("phones", mobile(HOME)), ("addresses", address("7 Elm St"))]
)
def test_a_label_that_stands_alone_is_listed_where_it_goes(
    part: str, fed: dict[str, str], among: list[dict[str, str]], decision: str
) -> None:
    """A person types a whole address where the label of an empty one belongs."""
    shapes: list[Any] = [
        among,
        [among],
        dict(enumerate(among)) if part == "addresses" else {"a": among},
    ]
    for held in ({part: shape} for shape in shapes):
        made = Side(held, [fed], {"*": decision})
        stays = holds(made.card, ALONE["label"])
        listed = [line for line in made.merger.differences if ALONE["label"] in line[2]]
        assert listed == (
            [] if stays else [("key", f"card.{part}", f"a label alone: {ALONE['label']}", "")]
        )
        assert made.of(part).gone == sum("alone" not in one for one in made.listed(part)) * (
            decision == "filemaker"
        )
    new = Side({part: [ALONE]}, [], {"*": decision}, line1=True)
    assert (new.after, new.merger.differences) == (new.row, [])


def test_a_phone_that_is_added_does_not_become_the_first() -> None:
    for decisions in ({}, {"*": "filemaker"}):
        made = Side({"phones": [{"number": MUM}]}, [mobile(HOME), mobile(MUM)], decisions)
        assert [phone["number"] for phone in made.card["phones"]] == [MUM, HOME]
    assert made.of("phones").filled == 1


def test_where_filemaker_is_right_another_first_phone_or_address_is_listed() -> None:
    right = {"*": "filemaker"}
    road, street = address("1 Old Road", "Ferrin"), address("2 New Street", "Hill")
    held = {"addresses": [{"line1": "1 Old Road", "suburb": "Ferrin"}, {"line1": "3 Gone Lane"}]}
    made = Side(held, [street, road], right)
    assert made.card["street"] == "2 New Street"
    assert made.listed("addresses") == ["3 Gone Lane", "first: 1 Old Road, Ferrin"]
    assert made.of("addresses").gone == 1
    phones = {"phones": [{"number": MUM}, {"number": "0491 570 999"}]}
    made = Side(phones, [mobile(HOME), mobile(MUM)], right)
    assert made.listed("phones") == ["0491 570 999", f"first: {MUM}"]
    assert made.merger.differences[-1][3] == f"first: {HOME}"
    assert Side(phones, [mobile(MUM), mobile(HOME)], right).listed("phones") == ["0491 570 999"]
    assert Side(phones, [mobile(HOME)], right).listed("phones") == [MUM, "0491 570 999"]


def test_where_nexus_is_right_each_email_of_filemaker_is_listed() -> None:
    """Another first one alone kept FileMaker's further ones out, and they stood nowhere."""
    held = {"emails": [{"address": "a@b.example", "label": ""}], "email": "a@b.example"}
    fed = [email("x@y.example"), email("a@b.example"), email("n@o.example")]
    made = Side(held, fed, {"*": "nexus"})
    assert made.card == held
    assert made.of("emails").different == 1
    assert any("n@o.example" in line[3] for line in made.merger.differences)


def test_another_default_email_of_the_older_shape_is_a_difference() -> None:
    held = {
        "email": {
            "a": {"value": "a@b.example", "default": False},
            "c": {"value": "c@d.example", "default": True},
        }
    }
    both = [email("a@b.example"), email("c@d.example")]
    made = Side(held, both)
    assert made.listed("emails") == ["first: c@d.example"]
    assert (made.of("emails").different, made.of("emails").gone) == (1, 0)
    assert Side(held, [both[0], email("c@d.example", default_email="1")]).of("emails").same == 1


@pytest.mark.parametrize(
    "held",
    [
        {"emails": [{"address": "Ann@B.example"}], "email": "Ann@B.example"},
        {"email": {"home": {"value": "Ann@B.example", "default": True}}},
    ],
)
def test_the_first_email_is_the_same_in_capitals(held: dict[str, Any]) -> None:
    made = Side(held, [email("ann@b.example")])
    assert (made.of("emails").same, made.merger.differences) == (1, [])


def test_an_email_beside_a_misfit_goes_only_where_it_is_counted() -> None:
    held = {
        "emails": [
            {"address": "a@b.example", "label": ""},
            {"address": "c@d.example", "label": "work"},
        ]
    }
    made = Side(held, [email("a@b.example"), email("no address")])
    assert (made.of("emails").different, made.listed("emails")) == (1, ["c@d.example (work)"])
    alone = Side(held, [email("no address"), mobile(MUM)])
    assert alone.card["emails"] == held["emails"]
    assert alone.of("emails").kept == 1


A, B, NEW = ({"address": f"{name}@b.example", "label": ""} for name in ("a", "b", "new"))


@pytest.mark.parametrize(
    ("beside", "label"),
    [
        ("b@b.example", ""),  # the list lacks it
        ({"home": {"value": "b@b.example"}}, "home"),  # no screen reads such a one
    ],
)
def test_emails_beside_their_list_come_into_it(beside: Any, label: str) -> None:
    made = Side({"emails": [A], "email": beside}, [email("b@b.example"), email("a@b.example")])
    assert made.card == {"emails": [B | {"label": label}, A], "email": "b@b.example"}
    assert (made.of("emails").same, made.of("emails").gone) == (1, 0)


def test_an_email_that_is_added_stands_where_filemaker_has_it() -> None:
    fed = [email("b@b.example", default_email="1"), email("a@b.example"), email("new@b.example")]
    made = Side({"emails": [A, B]}, fed)
    assert made.card == {"emails": [B, A, NEW], "email": "b@b.example"}
    assert (made.of("emails").filled, made.of("emails").different) == (1, 0)


def test_phones_of_an_older_shape_beside_the_list_become_one_list() -> None:
    entry = {"number": MUM, "phone": MUM}
    for held in (
        {"phones": [entry], "mobile": MUM},
        {"phones": [{**entry, "phone": 491570001}]},
        {"phones": [{**entry, "number": 491570001}]},
    ):
        made = Side(held, [mobile(MUM)])
        (phone,) = made.card["phones"]
        assert (phone["number"], phone["phone"], [*made.card]) == (MUM, MUM, ["phones"])
        assert (made.of("phones").same, made.of("phones").gone) == (1, 0)


def test_each_phone_of_a_list_becomes_one_that_the_application_can_read() -> None:
    """SMS reads the number of an entry, the calendar its phone, and no screen a text."""
    texts = Side({"phones": [{"number": HOME, "phone": HOME}, MUM]}, [mobile(HOME), mobile(MUM)])
    assert [one["phone"] for one in texts.card["phones"]] == [HOME, MUM]
    half = {"phones": [{"phone": MUM}, {"number": HOME}]}
    both = {"phones": [{"phone": n, "number": n} for n in (MUM, HOME)]}
    made = Side(half, [mobile(MUM), mobile(HOME)])
    assert (made.card, made.of("phones").respelt) == (both, 1)


def test_a_phone_under_two_keys_that_differ_keeps_both() -> None:
    held = {"phones": [{"number": MUM, "phone": HOME}]}
    made = Side(held, [mobile(MUM), mobile(HOME)])
    assert made.card == held
    assert made.of("phones").same == 1
    one = Side(held, [mobile(MUM)], {"*": "filemaker"})
    assert (one.listed("phones"), one.of("phones").gone) == ([HOME], 1)


def test_the_same_number_twice_is_one_value() -> None:
    held = {"phones": [{"number": MUM}, {"number": "0491570001"}], "phone": HOME}
    made = Side(held, [mobile(MUM)], {"*": "filemaker"})
    assert (made.of("phones").gone, made.listed("phones")) == (1, [HOME])
    assert len(made.card["phones"]) == 1
    gone = Side({"phones": [{"number": HOME}, {"phone": HOME}]}, [mobile(MUM)], {"*": "filemaker"})
    assert (gone.of("phones").gone, gone.listed("phones")) == (1, [HOME])


def test_keys_of_an_older_shape_go_with_the_part_that_holds_them() -> None:
    held = {"tel": HOME, "email": "a@b.example"}
    made = Side(held, [mobile(MUM)], {"*": "filemaker"}, replaces=["phone", "mobile", "tel"])
    assert made.listed("phones") == [HOME]
    assert (made.card["email"], "tel" in made.card) == ("a@b.example", False)


def test_a_part_that_the_mapping_does_not_feed_is_nexus_own() -> None:
    held = {"emails": [{"address": "a@b.example"}], "email": "a@b.example"}
    made = Side(held, [mobile(MUM), email("c@d.example")], keys=["phones"])
    assert {key: made.card[key] for key in held} == held
    assert [change.column for change in made.merger.changes()] == ["card.phones"]


def test_filled_is_counted_by_part() -> None:
    held = {"phones": [{"number": MUM}]}
    made = Side(held, [email("a@b.example")])
    made.merger.count_before(made.row)
    made.merger.count_after(made.after)
    counts = {c.column: (c.filled_before, c.filled_after) for c in made.merger.changes()}
    assert counts == {"card.phones": (1, 1), "card.emails": (0, 1)}
    assert made.merger.holds(made.row, "card.phones")
    assert not made.merger.holds(made.row, "card.emails")


@pytest.mark.parametrize(
    ("ours", "same", "other"),
    [
        ("1300 975 707", "1300-975-707", "1300 975 708"),  # service numbers have no E.164 form
        ("13 12 34", "131234", "13 12 35"),
        (MUM, "+61 491 570 001", "0491 570 002"),
    ],
)
def test_a_phone_is_the_same_in_another_format_and_another_by_its_last_digit(
    ours: str, same: str, other: str
) -> None:
    held = {"phones": [{"number": ours}]}
    kept = Side(held, [mobile(same)], {"*": "filemaker"})
    assert (kept.of("phones").same, kept.of("phones").gone) == (1, 0)
    gone = Side(held, [mobile(other)], {"*": "filemaker"})
    assert (gone.of("phones").different, gone.of("phones").gone) == (1, 1)
    assert holds(gone.listed("phones"), ours)


@pytest.mark.parametrize(
    "held",
    [
        {"phones": [{"e164": "+61491570001"}]},
        {"phones": [{"number": "", "e164": "+61491570001", "label": "Mum"}]},
        {"phones": [{"number": "", "label": MUM}]},
        {"phone": {"type": MUM}},
        {"phone": {"type": "", "Mum": MUM}},
        {"phone": {"type": "home", "Mum": MUM}},  # home is no number
    ],
)
def test_a_number_that_stands_where_a_label_does_goes_only_where_it_is_counted(held: Any) -> None:
    made = Side(held, [mobile("0491 570 009")], {"*": "filemaker"})
    assert (made.of("phones").different, made.of("phones").gone) == (1, 1)
    assert holds(made.listed("phones"), "491570001") or holds(made.listed("phones"), MUM)
    kept = Side(held, [mobile("0491 570 009")], {"card.phones": "nexus"})
    assert kept.after == kept.row
    same = Side(held, [mobile(MUM)], {"*": "filemaker"})
    assert (same.of("phones").same, same.card["phones"][0]["number"]) == (1, MUM)


def test_what_is_short_or_has_letters_is_compared_by_all_that_it_says() -> None:
    digits = Side({"emails": [{"address": "ann123456@b.example"}]}, [email("bo123456@b.example")])
    assert digits.of("emails").gone == 1
    short = Side({"phone": {"Mum": "x12"}}, [mobile(MUM)], {"*": "filemaker"})
    assert (short.of("phones").gone, short.listed("phones")) == (1, ["x12 (Mum)"])
