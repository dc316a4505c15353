"""Notes, text messages and replies: what was written about the patients, and to them.

11,408 notes in FileMaker (193 empty) against 11,166 imported and 44 written in Nexus; 5,352
messages against 5,120 and 300; 1,035 replies against 1,010 and 80.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from nexus_sandbox.clinic.facts import Event, Person, Text, World, upper
from nexus_sandbox.clinic.times import working_time

NOTE_TYPES = (
    "Clinical Notes",
    "Clinical Notes",
    "Clinic Dates",
    "Order Notes",
    "Admin Notes",
    "Referral",
    "3D Scan Data",
    "Workshop Note",
    "Other",
)
_SENTENCES = (
    "Fitted with custom insoles, pressure areas reviewed.",
    "Says the left shoe rubs \u2013 “too tight”, to be stretched.",
    "Ordered 2 pairs at $395.50 each; deposit paid (50%).",
    "Café au lait spot noted, naïve to orthotics \U0001f45f\U0001f9b6.",
    "Can't walk > 100m; pain 7/10 & rising.",
    "Path C:\\Scans\\N\\left\\.obj kept on the server",
    '"Happy with the result"; see {photos} <today>',
    "Left\t27.5\tRight\t28",
    "\\N",
    "\\.",
    "Rückfrage beim Hausarzt",
)
_REMINDERS = (
    "Hi {first}, your appointment with us is on {day} at {time}. Reply YES to confirm.",
    "Dear {first}, your shoes are ready to be collected ({word}).",
    "Reminder:\rplease bring your old shoes on {day}, {first}.",
)
_REPLIES = ("YES", "Yes thanks", "Y", "yes please 👍", "No, call me about {word}", "Who is this?")
_FIRST, _LAST = date(2015, 2, 2), date(2025, 11, 9)

Sentence = Callable[[World, Random, Person | None], str]


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of some texts: whose they are, where they are, and how many."""

    count: int
    whose: str
    in_filemaker: bool = True
    in_nexus: bool = True
    changed: bool = False
    empty: bool = False
    repeats_every: int = 1_000_000


_NOTES = (
    _Fate(11_106, "shared", repeats_every=185),
    _Fate(12, "shared", changed=True),
    _Fate(8, "shared", in_filemaker=False),
    _Fate(15, "vanished"),
    _Fate(25, "vanished", in_filemaker=False),
    _Fate(58, "shared", in_nexus=False),
    _Fate(12, "new", in_nexus=False),
    _Fate(3, "nameless", in_nexus=False),
    _Fate(9, "nobody", in_nexus=False),
    _Fate(193, "shared", in_nexus=False, empty=True),
)
_MESSAGES = (
    _Fate(5_100, "shared"),
    _Fate(10, "vanished"),
    _Fate(10, "vanished", in_filemaker=False),
    _Fate(40, "shared", in_nexus=False),
    _Fate(10, "new", in_nexus=False),
    _Fate(2, "nameless", in_nexus=False),
    _Fate(180, "nobody", in_nexus=False),
    _Fate(10, "shared", in_nexus=False, empty=True),
)
_ANSWERS = (
    _Fate(930, "shared"),
    _Fate(60, "no id"),
    _Fate(12, "nobody"),
    _Fate(8, "vanished"),
    _Fate(22, "shared", in_nexus=False),
    _Fate(3, "shared", in_nexus=False, empty=True),
)
OWN_NOTES, OWN_MESSAGES, OWN_ANSWERS = 44, 300, 80


def make(world: World) -> None:
    """Fill in what was written."""
    rng = world.chance("writing")
    world.notes = [*_texts(world, rng, _NOTES, _note), *_own(world, rng, OWN_NOTES, _note)]
    for note in world.notes:
        note.kind = rng.choice(NOTE_TYPES)
    world.messages = [
        *_texts(world, rng, _MESSAGES, _message),
        *_own(world, rng, OWN_MESSAGES, _message),
    ]
    _link_messages(world, rng)
    world.replies = [
        *_texts(world, rng, _ANSWERS, _answer),
        *_own(world, rng, OWN_ANSWERS, _own_answer),
    ]
    _give_phones(world)
    for texts, imported, own in (
        (world.notes, 50, 10),
        (world.messages, 40, 30),
        (world.replies, 10, 8),
    ):
        _choose_recent(world, texts, imported, own)


def nexus_text(text: str) -> str:
    """A text as the earlier import brought it into Nexus."""
    return text.replace("\r", "\n").strip()


def _texts(world: World, rng: Random, fates: tuple[_Fate, ...], write: Sentence) -> Iterator[Text]:
    for fate in fates:
        people = world.group(fate.whose)
        person, words = None, ""
        for number in range(world.size(fate.count)):
            if not words or number % fate.repeats_every:  # else the same to the same patient again
                person = rng.choice(people) if people else None
                words = "" if fate.empty else write(world, rng, person)
            yield _fated(world, rng, fate, _text(world, rng, person, words))


def _fated(world: World, rng: Random, fate: _Fate, text: Text) -> Text:
    text.in_filemaker, text.in_nexus = fate.in_filemaker, fate.in_nexus
    if fate.whose == "nobody":
        text.owner = upper(world.invent.uuid())
    if not fate.in_nexus:
        text.at = working_time(rng, date(2025, 11, 10), date(2025, 11, 14))
    if fate.changed:
        text.nexus = nexus_text(text.text)
        text.text += f"\rLater: {world.invent.word()}"
    return text


def _own(world: World, rng: Random, count: int, write: Sentence) -> Iterator[Text]:
    """What was written in Nexus."""
    for number in range(world.size(count)):
        person = rng.choice(world.own if number % 4 == 0 else world.shared)
        text = _text(world, rng, person, write(world, rng, person))
        text.at = working_time(rng, date(2025, 10, 1), date(2025, 11, 14))
        text.filemaker_id, text.in_filemaker, text.in_nexus = "", False, True
        yield text


def _text(world: World, rng: Random, person: Person | None, words: str) -> Text:
    return Text(
        id=world.invent.uuid(),
        filemaker_id=upper(world.invent.uuid()),
        person=person,
        owner=person.filemaker_id if person else "",
        text=words,
        at=working_time(rng, _FIRST, _LAST) + timedelta(seconds=rng.randrange(60)),
    )


def _note(world: World, rng: Random, _: Person | None) -> str:
    lines = rng.choices(_SENTENCES, k=rng.choice((1, 1, 2, 3, 5)))
    lines.insert(rng.randrange(len(lines) + 1), f"Ref {world.invent.word()}")
    return "\r".join(lines) + rng.choice(("", "", "", " ", "\r", "  \r\r"))


def _message(world: World, rng: Random, person: Person | None) -> str:
    at = working_time(rng, _FIRST, _LAST)
    first = (person.first if person else "") or "patient"
    text = rng.choice(_REMINDERS).replace("{first}", first)
    text = text.replace("{day}", f"{at:%d/%m/%Y}").replace("{time}", f"{at:%H:%M}")
    return world.invent.message(_with_word(world, text))


def _answer(world: World, rng: Random, _: Person | None) -> str:
    return world.invent.message(_with_word(world, rng.choice(_REPLIES)))


def _own_answer(world: World, _: Random, __: Person | None) -> str:
    """Told from every other: nothing in FileMaker is equal to it."""
    return world.invent.message(_with_word(world, "Please call me about {word}"))


def _with_word(world: World, text: str) -> str:
    return text.replace("{word}", world.invent.word()) if "{word}" in text else text


def _link_messages(world: World, rng: Random) -> None:
    """Three in ten belong to an appointment; a few name an event that does not exist."""
    events: dict[int, list[Event]] = defaultdict(list)
    for event in world.events:
        if event.person is not None and event.dated:
            events[id(event.person)].append(event)
    for message in world.messages:
        theirs = events[id(message.person)]
        if message.in_filemaker:
            theirs = [e for e in theirs if e.in_filemaker]
        else:
            theirs = [e for e in theirs if e.in_nexus]
        if theirs and rng.random() < 0.3:
            message.event = rng.choice(theirs)
            message.event_id = message.event.filemaker_id
        elif rng.random() < 0.005:
            message.event_id = upper(world.invent.uuid())


def _give_phones(world: World) -> None:
    """Each text has a mobile number, the patient's own or somebody's."""
    lent: dict[int, str] = {}
    for text in (*world.messages, *world.replies):
        own = text.person.mobile if text.person else ""
        text.phone = own or lent.get(id(text.person), "") or world.invent.mobile()
        if text.person is not None:
            lent[id(text.person)] = text.phone


def _choose_recent(world: World, texts: list[Text], imported: int, own: int) -> None:
    """What prod has and dev has not yet."""
    newest = sorted((t for t in texts if t.in_nexus), key=lambda t: (t.at, t.id), reverse=True)
    both = [t.id for t in newest if t.in_filemaker]
    ours = [t.id for t in newest if not t.filemaker_id]
    world.recent |= {*both[: world.size(imported)], *ours[: world.size(own)]}
