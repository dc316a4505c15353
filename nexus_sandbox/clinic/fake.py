"""Names, numbers and words that no real person has, made from syllables and recorded by kind.

Everything that could identify a person is long enough, and odd enough, that finding it in a log
means that it leaked: names have eight letters or more, words of notes ten, none of them English;
phones lie in the ranges that Australia keeps for fiction, e-mail addresses under ``.example``.
"""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta
from itertools import product
from random import Random
from uuid import UUID

_SURNAMES = (
    "Bral Quon Tavv Zeld Morv Fenk Ulst Drax Gorv Pelm Vint Yarr Oskr Klem Strev Hulm Jarn Wemb",
    "and erv ilk omb uzz ask ent iff orr ull agg epp irm oth unk azz elv amb olt utz egr ynd",
    "ovic umsen ethol igan arrok oster imble ulane azko ewyn odax ippel",
)
_FIRST_NAMES = (
    "Ylv Brix Cael Dwyr Elq Fyor Gwez Hjal Izzu Jovv Kyxa Lorq Mzel Nyss Orvu Pryl",
    "an el ir om un",
    "ette isto anda ulfe oria emar inka",
)
_STREETS = (
    "Bunj Coolv Dharv Goomb Jindr Kurrab Mulgoo Nambuk Oorlim Parrav Tullig Wirrem",
    "a e i o u",
    "roon bilda vinna mattan rook",
)
_PLACES = ("Bellm Curr Dunv Eskw Ferr Gildr Harv Kess", "a o i", "rra ndell wick verton mundi")
_CONSONANTS, _VOWELS = "bdfgjklmnprstvwz", "aeiou"
_AREAS = ("02", "03", "07", "08")
_KINDS = ("Street", "Road", "Avenue", "Parade", "Close", "Crescent")


class Fake:
    """Gives each value once, and records it: ``given[kind]``, in the order of giving."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"{seed}:invent")
        self.given: dict[str, dict[str, None]] = {}
        self._surnames = self._mixed(_SURNAMES)
        self._first_names = self._mixed(_FIRST_NAMES)
        self._streets = self._mixed(_STREETS)
        self._places = self._mixed(_PLACES)
        self._mobiles = self.random.sample(range(10_000), 10_000)
        self._landlines = self.random.sample(range(80_000), 80_000)
        self._serial = 0
        # For clinics larger than the real one; apart, so that smaller ones stay as they are.
        self._more = Random(f"{seed}:more")
        self._middles = 1

    def _mixed(self, parts: tuple[str, str, str]) -> list[str]:
        names = ["".join(name) for name in product(*(part.split() for part in parts))]
        self.random.shuffle(names)
        return names

    def _surname(self) -> str:
        """One that was not given before; when the short ones are used up, longer ones."""
        if not self._surnames:
            first, middle, last = (part.split() for part in _SURNAMES)
            self._middles += 1
            longer = product(first, *[middle] * self._middles, last)
            self._surnames = ["".join(name) for name in longer]
            self._more.shuffle(self._surnames)
        return self._surnames.pop()

    def _number(self, left: list[int], count: int) -> int:
        """One of ``count``. When all are used up they begin again: people share a telephone."""
        if not left:
            left += self._more.sample(range(count), count)
        return left.pop()

    def _give(self, kind: str, *values: str) -> str:
        self.given.setdefault(kind, {}).update(dict.fromkeys(values))
        return next(iter(values), "")

    def uuid(self) -> UUID:
        """A random id."""
        return UUID(int=self.random.getrandbits(128), version=4)

    def name(self) -> tuple[str, str]:
        """First and last name, as yet unknown to ``given``: ``know_name`` once it is used."""
        return self.first_name(), self.last_name()

    def first_name(self) -> str:
        """One of several hundred."""
        return self.random.choice(self._first_names)

    def last_name(self) -> str:
        """A unique last name; some are hard to write."""
        last = self._surname()
        form = self.random.random()
        if form < 0.03:
            last = last.replace("o", "ö", 1).replace("e", "é", 1)
        elif form < 0.05:
            last = f"O'{last}"
        elif form < 0.07:
            last = f"{last}-{self._surname()}"
        elif form < 0.08:
            last = f"van der {last}"
        return last

    def know_name(self, first: str, last: str) -> None:
        """Record a name as given, whole and in parts."""
        parts = [part for part in last.replace("-", " ").split() if len(part) > 4]
        known = [f"{first} {last}".strip(), first, *parts]
        self._give("name", *(name for name in known if name))

    def mobile(self) -> str:
        """A mobile number, 0491 57x xxx, as people write it."""
        number = self._number(self._mobiles, 10_000)
        digits = f"049157{number:04}"
        spelt = f"{digits[:4]} {digits[4:7]} {digits[7:]}"
        self._give("phone", spelt, digits, international(digits), international(digits)[1:])
        return spelt

    def landline(self) -> str:
        """Of the blocks 5550 and 7010 of an area, written in one of three ways."""
        number = self._number(self._landlines, 80_000)
        area, block = _AREAS[number // 20_000], ("5550", "7010")[number // 10_000 % 2]
        end = f"{number % 10_000:04}"
        forms = (f"({area}) {block} {end}", f"{area} {block} {end}", f"{area}{block}{end}")
        spelt = forms[number % 3]
        self._give("phone", spelt, forms[2])
        return spelt

    def email(self, first: str, last: str) -> str:
        """An address of that person."""
        self._serial += 1
        local = ascii_only(f"{first}.{last}{self._serial}".replace(" ", "").replace("'", ""))
        domain = self.random.choice(("mailbox", "postkorb", "inbucket"))
        return self._give("email", f"{local.lower()}@{domain}.example")

    def street(self) -> str:
        """House number and street."""
        self._serial += 1
        name, kind = self.random.choice(self._streets), self.random.choice(_KINDS)
        return self._give("address", f"{self._serial % 397 + 1} {name} {kind}")

    def place(self) -> str:
        """A suburb or a town; not recorded as identifying."""
        return self._places.pop()

    def birth_date(self) -> date:
        """Between 1931 and 2004, when no software of a run was written."""
        day = date(1931, 1, 2) + timedelta(days=self.random.randrange(26_900))
        day += timedelta(days=day.day == 1)
        self._give("birth_date", day.isoformat(), f"{day:%m/%d/%Y}", f"{day:%d/%m/%Y}")
        return day

    def health_number(self) -> str:
        """Ten digits in groups; the middle counts up."""
        self._serial += 1
        head, tail = self.random.randrange(2000, 7000), self.random.randrange(1, 10)
        spelt = f"{head} {self._serial + 10_000:05} {tail}"
        self._give("health_number", spelt, spelt.replace(" ", ""))
        return spelt

    def record_number(self) -> str:
        """A number by which Nexus alone knows a patient."""
        self._serial += 1
        return self._give("record_number", f"WMR-{self._serial + 400_000}")

    def word(self) -> str:
        """Ten letters without a meaning, by which a text can be recognised."""
        pick = self.random.choice
        word = "".join(pick(_CONSONANTS) + pick(_VOWELS) for _ in range(5))
        return self._give("word", word) if word not in self.given.get("word", {}) else self.word()

    def company(self, trade: str) -> str:
        """A firm's name."""
        return self._give("company", f"{self._surname()} {trade} Pty Ltd")

    def message(self, text: str) -> str:
        """Record a text message, if it is long enough to be unique."""
        if len(text) > 24:
            self._give("message", text)
        return text


def ascii_only(text: str) -> str:
    """``text`` without accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def international(mobile: str) -> str:
    """An Australian number with its country code."""
    return "+61" + mobile.replace(" ", "").removeprefix("0")
