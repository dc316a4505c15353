"""Address cards: which address is which, which is the first, and what goes of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cards import Side, address


def test_of_two_addresses_that_become_one_what_only_the_second_says_is_counted() -> None:
    held = {"addresses": [{"line1": "1 Made Up St", "parking": where} for where in "ab"]}
    made = Side(held, [address("1 Made Up St", "Suva")], {"*": "filemaker"})
    assert made.of("addresses").gone == 1
    assert '"parking": "b"' in made.listed("addresses")[0]
    agreed = {"addresses": [{"line1": "1 Made Up St", "parking": "a"}, {"line1": "1 Made Up St"}]}
    assert Side(agreed, [address("1 Made Up St", "Suva")]).of("addresses").gone == 0
    home = {"addresses": [{"line1": "1 Made Up St", "country": c} for c in ("AU", "Australia", "")]}
    assert Side(home, [address("1 Made Up St", "Suva")]).of("addresses").gone == 0


@pytest.mark.parametrize("decision", ["filemaker", "nexus"])
def test_of_two_addresses_that_become_one_a_second_country_is_counted(decision: str) -> None:
    ours = [{"line1": "1 Made Up St", "country": c} for c in ("", "Fiji", "Australia")]
    fed = [address("1 Made Up St", "Suva")]
    made = Side({"addresses": ours}, fed, {"*": decision})
    assert (made.of("addresses").different, made.listed("addresses")) == (
        1,
        ['1 Made Up St {"country": "Australia"}'],
    )
    assert made.card["addresses"][0]["country"] == ("Fiji" if decision == "filemaker" else "")
    one = Side({"addresses": ours[:2]}, fed, {"*": decision})
    assert (one.card["addresses"][0]["country"], one.merger.differences) == ("Fiji", [])


@pytest.mark.parametrize("name", ["line2", "street2", "suburb", "state", "postcode"])
def test_an_address_that_says_more_in_any_part_is_another_one(name: str) -> None:
    """One that did not count would stay beside FileMaker's: half of one, and half of the other."""
    held = {"addresses": [{"line1": "1 Made Up St", name: "elsewhere"}]}
    made = Side(held, [address("1 Made Up St", "Perth")], {"*": "filemaker"})
    assert (made.of("addresses").different, made.of("addresses").gone) == (1, 1)
    assert made.listed("addresses") == ["1 Made Up St, elsewhere"]
    assert "elsewhere" not in json.dumps(made.card)


def test_of_two_addresses_with_the_same_words_in_other_places_each_counts() -> None:
    held = {
        "addresses": [
            {"line1": "1 Made Up St", "suburb": "Perth"},
            {"line1": "Perth", "suburb": "1 Made Up St"},
        ]
    }
    made = Side(held, [address("1 Made Up St", "Perth")], {"*": "filemaker"})
    assert (made.of("addresses").different, made.of("addresses").gone) == (1, 1)
    assert made.listed("addresses") == ["Perth, 1 Made Up St"]


@pytest.mark.parametrize(
    "held",
    [
        {"street": "1 Old Road", "suburb": "Ferrin", "type": "home", "default": True},
        {"addresses": [{"line1": "1 Old Road", "suburb": "Ferrin"}], "street": "1 Old Road"},
        {"addresses": [{"line1": "1 Old Road", "suburb": "Ferrin"}]},
    ],
)
def test_whether_an_address_that_is_added_becomes_the_first_is_decided_and_listed(
    held: Any,
) -> None:
    """The application reads the first one at the top level: a letter would go elsewhere."""
    fed = [address("2 New Street", "Hill"), address("1 Old Road", "Ferrin")]
    made = Side(held, fed, {"*": "filemaker"})
    assert (made.card["street"], made.card["suburb"]) == ("2 New Street", "Hill")
    assert [line.partition(",")[0] for line in made.listed("addresses")] == ["first: 1 Old Road"]
    assert (made.of("addresses").different, made.of("addresses").gone) == (1, 0)
    again = Side(made.card, fed, {"*": "filemaker"})
    assert (again.card, again.listed("addresses")) == (made.card, [])
    made = Side(held, fed, {"*": "nexus"})
    assert (made.card["street"], made.card["suburb"]) == ("1 Old Road", "Ferrin")
    assert [one["line1"] for one in made.card["addresses"]] == ["1 Old Road", "2 New Street"]
    assert (made.of("addresses").filled, made.listed("addresses")) == (1, [])
    assert made.card.get("type") == held.get("type")


ROAD = address("1 Old Road", "Ferrin")

IN_NEXUS = [{"line1": "1 Old Road", "suburb": "Ferrin", "own": 1}, {"line1": "2 New Street"}]


@pytest.mark.parametrize("decision", ["nexus", "filemaker"])
@pytest.mark.parametrize(
    "held",
    [
        {"addresses": IN_NEXUS},
        {"addresses": IN_NEXUS, "street": "1 Old Road", "suburb": "Ferrin"},
        {"addresses": IN_NEXUS[1:], "street": "1 Old Road", "suburb": "Ferrin"},
        [IN_NEXUS[0], "2 New Street"],
    ],
)
def test_the_same_addresses_in_another_order_are_no_difference(held: Any, decision: str) -> None:
    """FileMaker's come by their ids: that says nothing of which one a letter goes to."""
    made = Side(held, [address("2 New Street"), ROAD], {"*": decision})
    assert made.card == held
    assert (made.of("addresses").same, made.merger.differences) == (1, [])


def test_a_list_of_addresses_gets_its_first_one_where_the_application_reads_it() -> None:
    made = Side(["1 Old Road, Ferrin"], [address("2 New Street", "Hill")], {"*": "filemaker"})
    assert made.card["street"] == made.card["addresses"][0]["line1"] == "2 New Street"
    again = Side(made.card, [address("2 New Street", "Hill")], {"*": "filemaker"})
    assert (again.card, again.listed("addresses")) == (made.card, [])


def test_a_key_of_the_top_level_that_the_mapping_does_not_name_stays_as_nexus_has_it() -> None:
    """The rehearsal stopped: a key of Nexus's own had become another one."""
    held = {"addresses": [address("1 Old Road", "Ferrin")], "suburb": "of Nexus"}
    fed = [address("2 New Street", "Hill")]
    card = Side(held, fed, {"*": "filemaker"}, keys=["addresses"]).card
    assert card["addresses"][0]["line1"] == "2 New Street"
    assert {k: v for k, v in card.items() if k != "addresses"} == {"suburb": "of Nexus"}


def test_what_the_top_level_says_of_the_first_address_moves_with_it() -> None:
    """The new first one was called what the old one was."""
    held = {"street": "1 Old Road", "suburb": "Ferrin", "type": "postal", "default": True, "own": 1}
    fed = [address("2 New Street", "Hill"), address("1 Old Road", "Ferrin")]
    made = Side(held, fed, {"*": "filemaker"})
    first, second = made.card["addresses"]
    assert (first["line1"], "type" in first) == ("2 New Street", False)
    assert (second["line1"], second["type"]) == ("1 Old Road", "postal")
    # The one at the top is still the default.
    assert {k: made.card.get(k) for k in ("type", "default", "own")} == {
        "type": None,
        "default": True,
        "own": 1,
    }
    assert made.of("addresses").gone == 0
    again = Side(made.card, fed, {"*": "filemaker"})
    assert (again.card, again.listed("addresses")) == (made.card, [])
    for decision in ("filemaker", "nexus"):
        corrected = Side(held, [address("1 Old Rd", "Ferrin")], {"*": decision})
        assert corrected.card["type"] == "postal"


def test_a_label_of_the_first_address_that_its_entry_has_otherwise_is_not_lost() -> None:
    old = {"line1": "1 Old Road", "suburb": "Ferrin", "label": "Post"}
    held = {"addresses": [old], "street": "1 Old Road", "suburb": "Ferrin", "label": "Work"}
    fed = [address("2 New Street", "Hill"), address("1 Old Road", "Ferrin")]
    made = Side(held, fed, {"*": "filemaker"})
    assert (made.card["label"], made.card["addresses"][1]["label"]) == ("Work", "Post")
    for same in ({}, {"label": "Work"}):
        made = Side({**held, "addresses": [{**old, "label": "", **same}]}, fed, {"*": "filemaker"})
        assert ("label" in made.card, made.card["addresses"][1]["label"]) == (False, "Work")


def test_an_email_in_an_address_is_a_part_of_the_address() -> None:
    held = "1 Made Up St, c/o ann@b.example"
    assert Side(held, [], line1=True).of("addresses").kept == 1
    made = Side(held, [address("2 Made Up Rd")], {"*": "filemaker"})
    assert (made.of("addresses").gone, made.listed("addresses")) == (1, [held])


def test_an_address_of_another_shape_that_says_the_same_stays() -> None:
    held = {"street": "1 Made Up St", "suburb": "Perth", "type": "home", "default": True}
    made = Side(held, [address(" 1 made up  ST", "Perth")])
    assert (made.card, made.of("addresses").same) == (held, 1)


SWAPPED = {"line1": "Perth", "line2": "", "suburb": "1 Made Up St", "postcode": "6000"}


@pytest.mark.parametrize(
    "held",
    [
        {"addresses": [SWAPPED]},
        {"street": "Perth", "suburb": "1 Made Up St", "postcode": "6000"},
        {"street2": "1 Made Up St", "suburb": "Perth", "postcode": "6000"},
    ],
)
def test_an_address_whose_parts_stand_in_other_places_is_another_one(held: dict[str, Any]) -> None:
    theirs = {**address("1 Made Up St", "Perth"), "postcode": "6000"}
    made = Side(held, [theirs])
    (now,) = made.card["addresses"]
    assert (now["line1"], now["suburb"], now["postcode"]) == ("1 Made Up St", "Perth", "6000")
    assert (made.of("addresses").different, made.of("addresses").gone) == (1, 1)
    assert len(made.merger.differences) == 1
    stays = Side(held, [theirs], {"*": "nexus"})
    assert (stays.card, stays.of("addresses").different) == (held, 1)
    assert len(stays.merger.differences) == 1


def test_of_two_addresses_each_needs_an_entry_that_says_it_in_its_places() -> None:
    held = {"addresses": [{"line1": "Perth", "suburb": "Albury"}]}
    made = Side(held, [address("Perth", "Albury"), address("Albury", "Perth")])
    assert [one["line1"] for one in made.card["addresses"]] == ["Perth", "Albury"]
    assert (made.of("addresses").same, made.of("addresses").filled) == (0, 1)
    assert made.merger.differences == []


def test_one_address_in_the_place_of_the_list_is_one_and_objects_by_any_name_are_several() -> None:
    street = {"line1": "1 Made Up St", "suburb": "Perth"}
    fed = [address("1 Made Up St", "Perth")]
    held = {"addresses": {**street, "map": {"zoom": 9}}}
    one = Side(held, fed, {"*": "filemaker"})
    assert (one.of("addresses").same, one.card) == (1, held)
    two = Side({"addresses": {"home": street, "work": {"line1": "2 Other St"}}}, fed)
    assert (two.of("addresses").different, two.listed("addresses")) == (1, ["2 Other St"])


def test_an_address_of_which_filemaker_has_the_country_alone_stays() -> None:
    held = {"addresses": [{"line1": "1 Made Up St", "country": "Fiji", "label": ""}]}
    made = Side(held, [address("", country="Australia")])
    assert (made.card, made.of("addresses").kept) == (held, 1)


def test_a_country_that_is_all_there_is_counts_and_otherwise_is_kept() -> None:
    alone = Side({"addresses": [{"country": "Fiji"}]}, [address("1 Made Up St")])
    assert (alone.of("addresses").gone, alone.listed("addresses")) == (
        1,
        ['Fiji {"country": "Fiji"}'],
    )
    held = {"addresses": [{"line1": "1 Made Up St", "country": "Fiji", "label": "work"}]}
    made = Side(held, [address("1 Made Up St", "Suva")])
    (one,) = made.card["addresses"]
    assert (one["suburb"], one["country"], one["label"]) == ("Suva", "Fiji", "work")
    assert (made.of("addresses").filled, made.card["suburb"]) == (1, "Suva")


def test_a_country_that_filemaker_alone_has_arrives() -> None:
    for held in (
        {"addresses": [{"line1": "1 Made Up St", "suburb": "Suva", "label": ""}]},
        {"street": "1 Made Up St", "suburb": "Suva"},
    ):
        made = Side(held, [address("1 Made Up St", "Suva", "Fiji")])
        assert [one["country"] for one in made.card["addresses"]] == ["Fiji"]
        assert (made.of("addresses").filled, made.of("addresses").gone) == (1, 0)
        again = Side(made.card, [address("1 Made Up St", "Suva", "Fiji")])
        assert (again.card, again.of("addresses").same) == (made.card, 1)


@pytest.mark.parametrize("more", [[], [address("2 Made Up Rd", "Suva", "Fiji")]])
def test_another_country_is_a_difference_that_is_decided_counted_and_listed(more: Any) -> None:
    held = {"addresses": [{"line1": "1 Made Up St", "suburb": "Suva", "country": "Australia"}]}
    fed = [address("1 Made Up St", "Suva", "Fiji"), *more]
    made = Side(held, fed, {"*": "filemaker"})
    assert made.card["addresses"][0]["country"] == "Fiji"
    assert (made.of("addresses").different, made.of("addresses").gone) == (1, 1)
    assert made.listed("addresses") == ['1 Made Up St, Suva {"country": "Australia"}']
    kept = Side(held, fed, {"*": "nexus"})
    assert (kept.card, kept.of("addresses").different) == (held, 1)


@pytest.mark.parametrize(("ours", "theirs"), [("", "Australia"), ("AU", " australia "), ("x", "")])
def test_the_home_country_is_no_difference_and_neither_is_none(ours: str, theirs: str) -> None:
    held = {"addresses": [{"line1": "1 Made Up St", "suburb": "Perth", "country": ours}]}
    made = Side(held, [address("1 Made Up St", "Perth", theirs)])
    assert (made.card, made.of("addresses").same) == (held, 1)


@pytest.mark.parametrize(
    "held",
    [
        "2 Other Rd, Perth",
        ["2 Other Rd, Perth"],
        [{"line1": "2 Other Rd", "suburb": "Perth"}],
        {"addresses": "2 Other Rd, Perth"},
        {"addresses": {"home": {"street": "2 Other Rd"}}},
        {"addresses": [{"full_address": "2 Other Rd, Perth"}]},
        {"street": "2 Other Rd", "addresses": [{"line1": "1 Made Up St"}]},
        {"addresses": [[{"line1": "2 Other Rd"}], {"line1": "1 Made Up St"}]},
        {"addresses": {"a": {"street": "2 Other Rd"}, "b": {"street": "1 Made Up St"}}},
        {"addresses": [{"note": "2 Other Rd"}]},
        {"addresses": [{"note": {"left": "2 Other Rd"}}]},
        {"home_address": {"street": "2 Other Rd"}},
    ],
)
def test_an_address_in_any_shape_goes_only_where_it_is_counted(held: Any) -> None:
    older = {"replaces": ["home_address"]}
    made = Side(held, [address("1 Made Up St")], {"*": "filemaker"}, **older)
    assert (made.of("addresses").different, made.of("addresses").gone) == (1, 1)
    assert "2 Other Rd" in made.listed("addresses")[0]
    assert "1 Made Up St" not in made.listed("addresses")[0]
    assert "2 Other Rd" not in json.dumps(made.card)
    kept = Side(held, [address("1 Made Up St")], {"card.addresses": "nexus"}, **older)
    assert kept.after == kept.row


def test_the_first_address_is_the_one_at_the_top_wherever_its_list_has_it() -> None:
    held = {"addresses": [{"line1": "2 Other Rd"}, {"line1": "1 Made Up St"}]}
    held |= {"street": "1 Made Up St"}
    fed = [address(street) for street in ("2 Other Rd", "1 Made Up St", "3 New Lane")]
    made = Side(held, fed)
    assert made.card["street"] == made.card["addresses"][0]["line1"] == "1 Made Up St"
    assert (made.of("addresses").filled, made.merger.differences) == (1, [])
