"""Contact and address cards: the content of a JSON column, part by part, in any of its shapes.

Nexus holds several shapes side by side: lists of entries (the newer shape), label -> value (the
first import, and every edit on the screen), and plain text, lists or numbers instead of either.

A card has parts: phones and e-mails, or addresses. A part has entries. Entries compare by their
content: labels, types, flags and the format of a number do not count, but they are kept.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

from nexus_reimport import convert, strict_json
from nexus_reimport.text import LINE_ENDS, folded, name_key, visible, without_point

Card = Mapping[str, Any]
Keys = Sequence[str]  # the JSON keys that hold a part, its list of entries first

_VALUES = ("number", "phone", "mobile", "value", "address", "email")  # an entry's content keys
_BESIDE_VALUES = ("e164", "label", "type")  # count as content if an entry has no other
_DIGITS_OF_A_PHONE = 6  # a text with fewer digits counts as a label
# What FileMaker's entries hold; every other key of an entry is Nexus's own.
_WRITTEN = frozenset({*_VALUES, "label", "type", "default", "e164"})
# Of both shapes: line1 is the import's, street that of Nexus's screens.
_ADDRESS = ("line1", "street", "line2", "street2", "suburb", "state", "postcode")
_PLACES = {"street": "line1", "street2": "line2"}
_BESIDE = ("full_address", "country")  # count only if an address has nothing else
_CUT = re.compile(r"4[0-9]{8}")  # a mobile without its zero
_WITH_AT = re.compile(r"(?<!\S)\S*@\S*")  # from the beginning of a word alone: it may be long
_SEPARATORS = re.compile(rf"[,;|{LINE_ENDS}]+")
# A card is looked at from both sides, part by part, so each of its texts comes several times.
_REMEMBERED = 10_000
_FEW = 8  # entries that are compared one by one: most cards have no more


@dataclass(frozen=True, slots=True)
class Entry:
    """One phone, e-mail or address.

    ``says`` is its content in the form that compares, ``country`` that of an address likewise.
    ``own`` are keys that FileMaker does not feed, and a country, which it need not feed.
    """

    says: frozenset[str]
    text: str
    label: str = ""
    is_default: bool = False
    own: Card = field(default_factory=dict)
    country: str = ""
    kind: str = ""  # what the entry itself calls its type
    # Of an address in parts: which part says what. A suburb in the place of a state is none.
    places: frozenset[tuple[str, str]] = frozenset()

    def is_in(self, other: Entry) -> bool:
        """Whether ``other`` says all that this one says, and names no other country."""
        countries = {self.country, other.country} - {""}
        is_placed = not other.places or self.places <= other.places
        return self.says <= other.says and is_placed and len(countries) < 2

    def shown(self) -> str:
        """The whole entry, for a person to read."""
        label = f" ({self.label})" if self.label else ""
        own = f" {strict_json.dumps(self.own)}" if self.own else ""
        return f"{self.text}{label}{own}"


class Held:
    """Entries, to be found by what they say: a card can have thousands of them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = list(entries)
        self._with: dict[str, list[int]] | None = None  # a word -> those that say it
        if len(self._entries) > _FEW:
            self._with = defaultdict(list)
            for number, entry in enumerate(self._entries):
                for word in entry.says:
                    self._with[word].append(number)

    def saying(self, says: frozenset[str]) -> list[Entry]:
        """Those that say all of it, in their order."""
        numbers: Sequence[int] = range(len(self._entries))
        if self._with is not None and says:
            numbers = min((self._with.get(word, []) for word in says), key=len)
        return [self._entries[n] for n in numbers if says <= self._entries[n].says]

    def within(self, says: frozenset[str]) -> list[Entry]:
        """Those that say nothing else, in their order."""
        numbers: Sequence[int] = range(len(self._entries))
        if self._with is not None:
            # Under a word of many entries, such as a state, one is found only if it says no other.
            numbers = sorted({n for word in says for n in self._with_rarest.get(word, ())})
        return [self._entries[n] for n in numbers if self._entries[n].says <= says]

    @cached_property
    def _with_rarest(self) -> dict[str, list[int]]:
        """A word -> the entries that say it, and no rarer one."""
        counts = self._with or {}
        rarest: dict[str, list[int]] = defaultdict(list)
        for number, entry in enumerate(self._entries):
            rarest[min(entry.says, key=lambda word: len(counts[word]))].append(number)
        return rarest


def opened(document: Any, parts: Mapping[str, Keys]) -> dict[str, Any]:
    """``document`` as an object. Of a text, list or number, each piece goes into its part.

    A piece with an ``@`` is an e-mail, if the card has e-mails; everything else is of the first
    part.
    """
    if isinstance(document, dict):
        return document
    first = next(iter(parts))
    card: dict[str, Any] = {}
    for item in _flat(document):
        text = _scalar(item)
        for piece in _pieces(text) if text and first != "addresses" else [item]:
            if piece not in (None, "", {}) and not isinstance(piece, bool):
                part = "emails" if "@" in str(piece) and "emails" in parts else first
                # A list in a list marks the older shape.
                card.setdefault(part, [[]])[0].append(piece)
    return card


def closed(card: dict[str, Any], parts: Mapping[str, Keys]) -> dict[str, Any]:
    """A card that was not an object before, its texts as entries that the application can read."""
    lists = {part: _flat(card[part]) for part in parts if part in card}
    closed = {**card, **{p: [_entry(p, i) for i in items] for p, items in lists.items()}}
    emails = [e.text for e in _details(closed.get("emails")) if "@" in e.text]
    if len(emails) == 1 and "email" in parts["emails"]:
        closed["email"] = emails[0]
    return closed


def entries(card: Card, part: str, keys: Keys) -> list[Entry]:
    """The entries of ``part`` of a card, each once, even if the card has it under two keys."""
    distinct: list[Entry] = []
    names: dict[tuple[object, object], set[tuple[str, str]]] = {}  # of those that say the same
    for entry in _entries(card, part, keys):
        same = names.get((entry.says, entry.places))
        if same is None or entry.own or not _names(entry) <= same:
            distinct.append(entry)
            names.setdefault((entry.says, entry.places), set()).update(_names(entry))
    return distinct


def _entries(card: Card, part: str, keys: Keys) -> Iterator[Entry]:
    if part == "addresses":
        return _addresses(card, keys)
    return (entry for key in keys if key in card for entry in _details(card[key]))


def first_email(card: Card) -> str:
    """The first e-mail, folded; ``""`` if the card does not say which is the first."""
    email = card.get("email")
    if isinstance(email, str):
        return _folded(email)
    flagged = [_folded(entry.text) for entry in _details(email) if entry.is_default]
    return flagged[0] if len(flagged) == 1 else ""


def extra_details(ours: Iterable[Entry], theirs: Sequence[Entry]) -> list[Entry]:
    """The entries of ``ours`` whose content no single entry of ``theirs`` has."""
    held = Held(theirs)
    return [entry for entry in ours if not any(map(entry.is_in, held.saying(entry.says)))]


def are_known(theirs: Iterable[Entry], ours: Iterable[Entry]) -> bool:
    """Whether for each entry of FileMaker a single one of ``ours`` holds all of it.

    An address without a country holds the home country too, and no other one.
    """
    held = Held(ours)

    def is_known(entry: Entry) -> bool:
        needs_country = entry.country not in ("", convert.HOME)
        same = held.saying(entry.says)
        return any(entry.is_in(one) and (one.country or not needs_country) for one in same)

    return all(map(is_known, theirs))


def crowded_out(ours: Sequence[Entry], theirs: Iterable[Entry]) -> list[Entry]:
    """The entries of ``ours`` whose own keys are lost where FileMaker's entries take them over.

    Several entries of Nexus can say what one of FileMaker's says: the first one's keys count. So
    does one label, and one type.
    """
    held = Held(ours)
    # Each of ours -> what those hold that take it over.
    places: dict[int, list[tuple[dict[str, Any], set[tuple[str, str]]]]] = defaultdict(list)
    for one in theirs:
        several = held.within(one.says)
        own, names = _compared(_own_of(several)) | _compared(one.own), _names_of(one, several)
        for entry in several:
            places[id(entry)].append((own, names))

    def stays(entry: Entry) -> bool:
        return any(
            _names(entry) <= names and _compared(entry.own).items() <= own.items()
            for own, names in places[id(entry)]
        )

    return [entry for entry in ours if id(entry) in places and not stays(entry)]


def _filled(own: Card) -> dict[str, Any]:
    """The keys that say something."""
    return {key: one for key, one in own.items() if one not in (None, "", [], {})}


def _compared(own: Card) -> dict[str, Any]:
    """What an entry's own keys say, in the form that compares."""
    keys = _filled(own)
    return keys | {k: convert.country(_scalar(one)) for k, one in keys.items() if k == "country"}


def _names(entry: Entry) -> set[tuple[str, str]]:
    """What an entry calls itself."""
    names = (("label", entry.label), ("type", entry.kind))
    return {(name, name_key(text)) for name, text in names if text}


def _names_of(one: Entry, several: Sequence[Entry]) -> set[tuple[str, str]]:
    """What ``several`` entries of Nexus may call themselves that become FileMaker's ``one``.

    As long as they agree, theirs stay (or are listed, see ``renamed``); else FileMaker's count.
    """
    names = set[tuple[str, str]]().union(*map(_names, several))
    counts = Counter(name for name, _ in names)
    first = {name: text for entry in (*reversed(several), one) for name, text in _names(entry)}
    return {(name, text) for name, text in names if counts[name] == 1 or first[name] == text}


def renamed(ours: Iterable[Entry], after: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Each label and type of ``ours`` that is another one ``after``, and what it is then."""
    held = Held(after)
    for entry in ours:
        same = held.saying(entry.says)
        pairs = ("label", "label"), ("type", "kind")
        for name, place in pairs:
            was, now = getattr(entry, place), [getattr(one, place) for one in same]
            if was and now and name_key(was) not in map(name_key, now):
                yield f"{name} of {entry.text}: {was}", f"{name} of {entry.text}: {now[0]}"


def lone_labels(card: Card, keys: Keys) -> list[str]:
    """The labels of a part of a card that stand where there is nothing else to say.

    They are no entries, and do not count as a value; but somebody has written them.
    """
    if keys[0] != "addresses":
        return [label for key in keys if key in card for label in _alone(card[key])]
    every = (*_in_list(card), *_of_older_keys(card, keys))
    bare = (one for one in every if isinstance(one, dict) and _address(one) is None)
    return [label for one in bare if (label := _scalar(one.get("label")))]


def _alone(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        label = _scalar(value.get("label"))
        if label and not any(True for _ in _details(value)):
            yield label
    if strict_json.is_nested(value):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _alone(one)


def _own_of(several: Sequence[Entry]) -> Card:
    """The own keys of entries that become one."""
    every = [entry.own for entry in reversed(several)]
    return {key: one for held in (*every, *map(_filled, every)) for key, one in held.items()}


def holds(card: Card, part: str, keys: Keys) -> bool:
    """Whether a card has an entry of ``part``."""
    return any(True for _ in _entries(card, part, keys))


def is_of_the_newer_shape(card: Card, part: str, keys: Keys) -> bool:
    """Whether a part can stay as it is, because the application's screens can read it."""
    if part == "addresses":
        return True
    listed, names = card.get(part), ("address",) if part == "emails" else ("number", "phone")
    older = [card.get(key) for key in keys if key not in (part, "email")]
    is_list = isinstance(listed, list) and all(
        isinstance(one, dict)
        and any(name in one for name in names)
        and (any(one.get(name) for name in names) or not entries({part: [one]}, part, (part,)))
        for one in listed
    )
    is_text = isinstance(card.get("email", ""), str) or "email" not in keys
    if not is_list or not is_text or any(older) or _has_cut_numbers(listed, part):
        return False
    others = [key for key in keys if key != part and card.get(key) is not None]
    return not others or not extra_details(entries(card, part, keys), entries(card, part, (part,)))


def _has_cut_numbers(phones: Any, part: str) -> bool:
    """Whether a phone is a number, or lacks its zero: nobody can dial what a spreadsheet leaves.

    FileMaker's spelling of the same phone takes its place.
    """
    held = (phone[name] for phone in phones for name in ("number", "phone") if phone.get(name))
    return part == "phones" and any(
        not isinstance(one, str) or _CUT.fullmatch(re.sub(r"\D", "", one)) for one in held
    )


def readable(card: dict[str, Any], part: str) -> dict[str, Any]:
    """A card of the newer shape with each phone under both keys.

    SMS reads ``number``, the calendar ``phone``.
    """
    if part != "phones":
        return card
    return {**card, "phones": [_both_keys(phone) for phone in card["phones"]]}


def put(
    card: Card,
    old: Sequence[Entry],
    new: Card,
    keys: Keys,
    *,
    filemaker_is_right: bool,
    keeps_first: bool = True,
) -> dict[str, Any]:
    """``card`` with FileMaker's part, ``keys[0]``, instead of its own, whose entries are ``old``.

    An entry that Nexus has too keeps its own keys. It keeps its label and type if FileMaker has
    none, or if no other entry of the part is removed; in the latter case the first phone, or
    address, also stays the first where ``keeps_first``.
    """
    part = keys[0]
    held = Held(old)
    joined = [_joined(entry, part, held, filemaker_is_right) for entry in new[part]]
    leads = leading(card, keys, old)

    def is_led(one: Any) -> bool:
        return leads is not None and any(map(leads.is_in, entries({part: [one]}, part, keys)))

    if keeps_first and part != "emails" and not filemaker_is_right:
        joined.sort(key=lambda one: not is_led(one))
    beside = {k: v for k, v in card.items() if k not in keys}
    if part != "addresses":
        return {**beside, **{k: new[k] for k in keys if k in new}, part: joined}
    was_first = None if is_led(joined[0]) else next(filter(is_led, joined), None)
    if was_first is not None:
        for key in beside.keys() & convert.OF_AN_ADDRESS:
            # What its entry says otherwise stays where it is: nothing is lost.
            if was_first.get(key) in (None, "", beside[key]):
                was_first[key] = beside.pop(key)
    top = {k: v for k, v in convert.at_the_top(joined[0]).items() if k in keys}
    return {**beside, **top, part: joined}


def leading(card: Card, keys: Keys, those: Sequence[Entry]) -> Entry | None:
    """The phone, or address, of ``those`` of a card that the application takes for the first."""
    if keys[0] == "addresses":
        top = _address({key: card[key] for key in keys if key in _ADDRESS and key in card})
        if top:
            return next(filter(top.is_in, those), top)
    return next((entry for entry in those if entry.is_default), next(iter(those), None))


def _joined(new: dict[str, Any], part: str, old: Held, filemaker_is_right: bool) -> dict[str, Any]:
    """One of FileMaker's entries, with the keys that only Nexus has."""
    says = frozenset[str]().union(*(e.says for e in entries({part: [new]}, part, (part,))))
    same = old.within(says)
    own = _own_of(same)
    label = _name_of(new["label"], [entry.label for entry in same])
    labels = (new["label"], label) if filemaker_is_right else (label, new["label"])
    kind = _name_of(new.get("type", ""), [entry.kind for entry in same])
    filled = {key: value for key, value in new.items() if value}
    if kind and not (filemaker_is_right and new.get("type")):
        filled["type"] = kind
    return {**new, **own, **filled, "label": labels[0] or labels[1]}


def _name_of(new: str, names: Sequence[str]) -> str:
    """The label, or type, of Nexus that FileMaker has as well, else the first one."""
    same = (name for name in names if name and name_key(name) == name_key(new))
    return next(same, next(filter(None, names), ""))


def _details(value: Any, label: str = "") -> Iterator[Entry]:
    """Phones and e-mails in any shape: lists, objects by label, entries, texts and numbers."""
    if isinstance(value, list):
        for item in value:
            yield from _details(item, label)
    elif isinstance(value, dict):
        yield from _of_object(value, label)
    else:
        for text in _pieces(_scalar(value)):
            yield Entry(frozenset({_folded(text)}), text, label)


def _of_object(value: Card, label: str) -> Iterator[Entry]:
    texts = {key: text for key, one in value.items() if (text := _scalar(one))}
    is_entry = any(key in value and not strict_json.is_nested(value[key]) for key in _VALUES)
    if is_entry:
        # What is nested and holds a text may be a further phone: an entry of its own, see below.
        beside = {key: one for key, one in value.items() if key not in _WRITTEN}
        own = {k: v for k, v in beside.items() if not strict_json.is_nested(v) or not _leaves(v)}
        pieces = [piece for key in _VALUES if key in texts for piece in _pieces(texts[key])]
        pieces = pieces or [texts[key] for key in _BESIDE_VALUES if _is_detail(texts.get(key, ""))]
        pieces = pieces or [text for key, text in texts.items() if key not in _WRITTEN]
        by_content = {_folded(piece): piece for piece in reversed(pieces)}
        for content, text in by_content.items():
            yield Entry(
                frozenset({content}),
                text,
                texts.get("label") or label,
                value.get("default") is True,
                own,
                kind="" if texts.get("type", "") == text else texts.get("type", ""),
            )
    for key, one in value.items():
        is_kind = key in ("type", "e164")
        is_labelled = not is_entry and key in texts and (not is_kind or _is_detail(texts[key]))
        if strict_json.is_nested(one) or is_labelled:
            yield from _details(one, "" if is_kind else key)


def _is_detail(text: str) -> bool:
    """Whether a text in the place of a label or a type is a phone or an e-mail."""
    return "@" in text or len(re.sub(r"\D", "", text)) >= _DIGITS_OF_A_PHONE


def _addresses(card: Card, keys: Keys) -> Iterator[Entry]:
    """The addresses of the list, and the one at the top level if the list does not have it."""
    in_list = [entry for item in _in_list(card) if (entry := _address(item))]
    yield from in_list
    tops = [{key: card[key] for key in keys if key in _ADDRESS and key in card}]
    tops += _of_older_keys(card, keys)
    yield from extra_details([entry for top in tops if (entry := _address(top))], in_list)


def _in_list(card: Card) -> list[Any]:
    """What stands in the list of addresses, or in its place."""
    listed = card.get("addresses")
    if isinstance(listed, dict) and all(map(strict_json.is_nested, listed.values())):
        return list(listed.values())
    return list(_flat(listed)) if isinstance(listed, list) else [listed]


def _of_older_keys(card: Card, keys: Keys) -> list[Any]:
    return [card[key] for key in keys if key not in ("addresses", *_ADDRESS) and key in card]


def _address(value: Any) -> Entry | None:
    """One address; None if it is empty. The country counts only if there is nothing else."""
    if not isinstance(value, dict):
        texts = _leaves(value)
        return Entry(frozenset(map(name_key, texts)), ", ".join(texts)) if texts else None
    parts = [(_PLACES.get(k, k), text) for k in _ADDRESS for text in _leaves(value.get(k))]
    texts = [text for _, text in parts]
    texts = texts or [text for key in _BESIDE for text in _leaves(value.get(key))]
    own = {k: v for k, v in value.items() if k not in (*_ADDRESS, "label", "full_address")}
    country = convert.country(_scalar(value.get("country")))
    if not texts:
        texts = [text for key, one in own.items() if key not in _WRITTEN for text in _leaves(one)]
    if not texts:
        return None
    label = _scalar(value.get("label"))
    says = frozenset(map(name_key, texts))
    places = frozenset((place, name_key(text)) for place, text in parts)
    return Entry(says, ", ".join(texts), label, own=own, country=country, places=places)


def _flat(value: Any) -> Iterator[Any]:
    """The items of nested lists, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _leaves(value: Any) -> list[str]:
    """Every text and number in a value of any shape."""
    if strict_json.is_nested(value):
        within = value.values() if isinstance(value, dict) else value
        return [text for one in within for text in _leaves(one)]
    text = _scalar(value)
    return [text] if text else []


def _scalar(value: Any) -> str:
    """A text or number without outer blanks; ``""`` for everything else.

    A spreadsheet makes 491570001.0 of a phone, and 2000.0 of a postcode.
    """
    if isinstance(value, str):
        return value.strip()
    # In Python a bool is an int as well.
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return re.sub(r"\.0+$", "", str(value)) if is_number else ""


@lru_cache(_REMEMBERED)
def _folded(text: str) -> str:
    """A phone as its number, whatever its format; anything else with case and blanks folded.

    What nobody sees does not count: pasted numbers and addresses have marks around them.
    """
    text = without_point(visible(text) or text)
    digits = re.sub(r"\D", "", text)
    if len(digits) >= _DIGITS_OF_A_PHONE and not re.search(r"[^\W\d_]|@", text):
        # Service numbers (13, 1300) have no E.164 form: their digits are compared.
        return convert.e164(text) or digits
    return name_key(text)


@lru_cache(_REMEMBERED)
def _pieces(text: str) -> tuple[str, ...]:
    """A text in the place of a whole card, split at its separators."""
    parts = _SEPARATORS.split(text)
    return tuple(piece for part in parts for piece in _apart(part.strip()) if piece)


def _apart(text: str) -> tuple[str, ...]:
    """An e-mail and a number with only blanks between them, split; any other text as it is."""
    if "@" in text:
        without = _WITH_AT.sub(" ", text)
        if len(re.sub(r"\D", "", without)) >= _DIGITS_OF_A_PHONE:
            return (folded(without), *_WITH_AT.findall(text))
    return (text,)


def _entry(part: str, piece: Any) -> Any:
    """A text or number as an entry of the newer shape; anything else as it is."""
    text = _scalar(piece)
    if not text or part == "addresses":
        return piece
    if part == "emails":
        return {"address": text, "label": ""}
    return {"type": "phone", "number": text, "phone": text, "label": ""}


def _both_keys(phone: dict[str, Any]) -> dict[str, Any]:
    number = phone.get("number") or phone.get("phone")
    if not number:
        return phone
    return {**phone, "number": number, "phone": phone.get("phone") or number}
