"""For any card: each value that goes is counted and listed, and merging again changes nothing."""

from __future__ import annotations

import cProfile
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import convert
from support.cards import BLANK, Side, address, email, holds, mobile

NUMBERS = [f"0491 57{n} 0{m}{n}" for n in range(4) for m in range(3)]

ADDRESSES = [f"{name}@{host}.example" for name in ("ann", "bo", "cy") for host in ("x", "y")]

STREETS = [f"{n} Made Up {kind}" for n in (1, 2, 3) for kind in ("St", "Rd")]

spelt = st.sampled_from(
    [lambda s: s, lambda s: s.replace(" ", ""), lambda s: f"  {s} ", lambda s: s.replace(" ", "-")]
)

labels = st.sampled_from(["", "Mum", "Home", "2"])

flags = st.booleans()


@st.composite
def part_shapes(draw: st.DrawFn, values: list[str], newer: str, older: tuple[str, ...]) -> Any:
    """Keys of a card that hold ``values`` in one of the shapes that Nexus holds."""
    key = "address" if newer == "emails" else "number"
    entries = [{key: v, "label": draw(labels), "type": "mobile"} for v in values]
    named = {
        f"{draw(labels)} {n}": {"value": v, "default": draw(flags)} for n, v in enumerate(values)
    }
    empty: list[Any] = [{}, {newer: []}, {newer: None}, {older[0]: ""}]
    filled: list[Any] = [
        {newer: entries},
        {newer: entries, older[0]: values[:1]},
        {newer: entries, older[0]: "".join(values[-1:])},
        {draw(st.sampled_from(older)): named},
        {older[0]: "".join(values[:1]), newer: entries[1:]},
        {newer: values},
        {newer: "; ".join(values)},
        {older[-1]: {f"l{n}": v for n, v in enumerate(values[:1])}, newer: entries[1:]},
    ]
    return draw(st.sampled_from(filled if values else empty))


@st.composite
def cards(draw: st.DrawFn) -> tuple[Any, list[str], list[str]]:
    """A contact card, and the phones and e-mails that it holds."""
    phones = [
        draw(spelt)(v) for v in draw(st.lists(st.sampled_from(NUMBERS), max_size=3, unique=True))
    ]
    emails = draw(st.lists(st.sampled_from(ADDRESSES), max_size=3, unique=True))
    whole = draw(st.sampled_from(["object", "object", "object", "text", "list"]))
    if whole == "text":
        return ", ".join([*phones, *emails]), phones, emails
    if whole == "list":
        return (
            [*phones, *({"address": one, "label": draw(labels)} for one in emails)],
            phones,
            emails,
        )
    card = {
        **draw(part_shapes(phones, "phones", ("mobile", "phone"))),
        **draw(part_shapes(emails, "emails", ("email",))),
        **draw(st.sampled_from([{}, {"preferred": "post", "n": 1.50}])),
    }
    return card, phones, emails


@st.composite
def details(draw: st.DrawFn) -> list[dict[str, str]]:
    """Contact details of FileMaker, misfits among them."""
    phones = draw(st.lists(st.sampled_from(NUMBERS), max_size=3))
    emails = draw(st.lists(st.sampled_from([*ADDRESSES, "no address"]), max_size=3))
    made = [mobile(draw(spelt)(v), label=draw(labels)) for v in phones]
    made += [email(v, default_email=draw(st.sampled_from(["", "1"]))) for v in emails]
    return draw(st.permutations(made))


DECISIONS = st.dictionaries(
    st.sampled_from(["card.phones", "card.emails", "card", "*"]),
    st.sampled_from(["filemaker", "nexus"]),
)


@given(cards(), details(), DECISIONS, st.sampled_from(["keep", "clear"]))
def test_every_value_that_goes_is_counted_and_listed_in_its_part(
    was: tuple[Any, list[str], list[str]],
    fed: list[dict[str, str]],
    decisions: Any,
    when_empty: str,
) -> None:
    held, phones, emails = was
    made = Side(held, fed, decisions, when_empty=when_empty)
    for part, values in (("phones", phones), ("emails", emails)):
        change = made.of(part)
        gone = [value for value in values if not holds(made.card, value)]
        assert change.gone == len(gone)
        for value in gone:
            assert change.cleared + change.different == 1
            assert holds(made.listed(part), value)
        if not made.fed.get(part) and when_empty == "keep":
            assert (gone, change.kept) == ([], bool(values))
        if change.decision == "nexus" and change.different:
            assert gone == []
        elif made.fed.get(part):
            assert all(
                holds(made.card[part], entry.get("number") or entry.get("address"))
                for entry in made.fed[part]
            )
        total = change.filled + change.different + change.cleared + change.kept + change.same
        assert total == bool(values or made.fed.get(part))
    if isinstance(held, dict) and "preferred" in held:
        assert (made.card["preferred"], made.card["n"]) == ("post", 1.5)


@given(cards(), details())
def test_a_card_that_was_merged_once_is_left_alone_the_second_time(
    was: tuple[Any, list[str], list[str]], fed: list[dict[str, str]]
) -> None:
    once = Side(was[0], fed, {"*": "filemaker"})
    twice = Side(json.loads(str(once.after["card"])), fed, {"*": "filemaker"})
    assert twice.card == once.card
    changed = [c.filled + c.different + c.cleared for c in twice.merger.changes()]
    assert changed == [0, 0]


@given(
    st.lists(st.sampled_from(STREETS), max_size=3, unique=True),
    st.lists(st.sampled_from(STREETS), max_size=3, unique=True),
    st.sampled_from(["newer", "screen", "text"]),
)
def test_every_address_that_goes_is_counted_and_listed(
    ours: list[str], theirs: list[str], shape: str
) -> None:
    shown: dict[str, Any] = {
        "newer": {
            "addresses": [{"line1": one, "country": "Fiji"} for one in ours],
            **({"street": ours[0]} if ours else {}),
        },
        "screen": {"street": ours[0], "type": "home"} if ours else {},
        "text": ours[0] if ours else "",
    }
    there = ours if shape == "newer" else ours[:1]
    made = Side(shown[shape], [address(one) for one in theirs], {"*": "filemaker"}, line1=True)
    gone = [one for one in there if not holds(made.card, one)]
    assert gone == ([one for one in there if one not in theirs] if theirs else [])
    assert made.of("addresses").gone == len(gone)
    assert all(holds(made.listed("addresses"), one) for one in gone)
    again = Side(made.card, [address(one) for one in theirs], line1=True)
    assert again.card == made.card


def _calls(kind: str, count: int, shared: int) -> tuple[int, int]:
    """What is called to merge two cards of so many entries, some of both; the list's characters."""

    def details(first: int) -> list[dict[str, str]]:
        of_address = {"line2": "", "suburb": "Town", "state": "NSW", "postcode": "2000"}
        return [
            BLANK
            | {"kind": kind, "value": "" if kind == "Address" else f"04{n:08}", "label": f"L{n}"}
            | ({"line1": f"{n} Street", "country": "", **of_address} if kind == "Address" else {})
            for n in range(first, first + count)
        ]

    make = convert.address_card if kind == "Address" else convert.contact_card
    profile = cProfile.Profile()
    profile.enable()
    side = Side(make(details(0)).value, details(count - shared), {"*": "filemaker"})
    profile.disable()
    listed = sum(len(value) for line in side.merger.differences for value in line)
    return sum(entry.callcount for entry in profile.getstats()), listed


@pytest.mark.parametrize("kind", ["Mobile", "Address"])
@pytest.mark.parametrize("shared", [0, 60])
def test_cards_of_four_times_the_entries_take_four_times_the_work(kind: str, shared: int) -> None:
    """Each entry was compared with every other: ten thousand of one owner took two minutes.

    And each line of the list of differences held all entries of FileMaker.
    """
    small, large = _calls(kind, 120, shared), _calls(kind, 480, shared * 4)
    assert large[0] < 4.5 * small[0]
    assert large[1] < 4.5 * small[1]
