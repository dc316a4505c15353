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

from nexus_sandbox.clinic.facts import Event, Facts, Person, Text, upper
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
    # COPY's own marks: this is its NULL, and the next one, alone in a line, ends its data.
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

Sentence = Callable[[Facts, Random, Person | None], str]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One outcome of texts: whose they are, where they exist, and how many."""

    count: int
    whose: str
    in_filemaker: bool = True
    in_nexus: bool = True
    changed: bool = False
    empty: bool = False
    repeats_every: int = 1_000_000


_NOTES = (
    _Outcome(11_106, "shared", repeats_every=185),
    _Outcome(12, "shared", changed=True),
    _Outcome(8, "shared", in_filemaker=False),
    _Outcome(15, "vanished"),
    _Outcome(25, "vanished", in_filemaker=False),
    _Outcome(58, "shared", in_nexus=False),
    _Outcome(12, "new", in_nexus=False),
    _Outcome(3, "nameless", in_nexus=False),
    _Outcome(9, "nobody", in_nexus=False),
    _Outcome(193, "shared", in_nexus=False, empty=True),
)
_MESSAGES = (
    _Outcome(5_100, "shared"),
    _Outcome(10, "vanished"),
    _Outcome(10, "vanished", in_filemaker=False),
    _Outcome(40, "shared", in_nexus=False),
    _Outcome(10, "new", in_nexus=False),
    _Outcome(2, "nameless", in_nexus=False),
    _Outcome(180, "nobody", in_nexus=False),
    _Outcome(10, "shared", in_nexus=False, empty=True),
)
_ANSWERS = (
    _Outcome(930, "shared"),
    _Outcome(60, "no id"),
    _Outcome(12, "nobody"),
    _Outcome(8, "vanished"),
    _Outcome(22, "shared", in_nexus=False),
    _Outcome(3, "shared", in_nexus=False, empty=True),
)
OWN_NOTES, OWN_MESSAGES, OWN_ANSWERS = 44, 300, 80


def make(facts: Facts) -> None:
    """Fill in what was written."""
    rng = facts.chance("writing")
    facts.notes = [*_texts(facts, rng, _NOTES, _note), *_own(facts, rng, OWN_NOTES, _note)]
    for note in facts.notes:
        note.kind = rng.choice(NOTE_TYPES)
    facts.messages = [
        *_texts(facts, rng, _MESSAGES, _message),
        *_own(facts, rng, OWN_MESSAGES, _message),
    ]
    _link_messages(facts, rng)
    facts.replies = [
        *_texts(facts, rng, _ANSWERS, _answer),
        *_own(facts, rng, OWN_ANSWERS, _own_answer),
    ]
    _give_phones(facts)
    for texts, imported, own in (
        (facts.notes, 50, 10),
        (facts.messages, 40, 30),
        (facts.replies, 10, 8),
    ):
        _choose_recent(facts, texts, imported, own)


def nexus_text(text: str) -> str:
    """A text as the earlier import brought it into Nexus."""
    # FileMaker ends the lines of a text with CR.
    return text.replace("\r", "\n").strip()


def _texts(
    facts: Facts, rng: Random, outcomes: tuple[_Outcome, ...], write: Sentence
) -> Iterator[Text]:
    for outcome in outcomes:
        people = facts.group(outcome.whose)
        person, words = None, ""
        for number in range(facts.size(outcome.count)):
            if not words or number % outcome.repeats_every:  # else the same text again
                person = rng.choice(people) if people else None
                words = "" if outcome.empty else write(facts, rng, person)
            yield _with_outcome(facts, rng, outcome, _text(facts, rng, person, words))


def _with_outcome(facts: Facts, rng: Random, outcome: _Outcome, text: Text) -> Text:
    text.in_filemaker, text.in_nexus = outcome.in_filemaker, outcome.in_nexus
    if outcome.whose == "nobody":
        text.owner = upper(facts.fake.uuid())
    if not outcome.in_nexus:
        text.at = working_time(rng, date(2025, 11, 10), date(2025, 11, 14))
    if outcome.changed:
        text.nexus = nexus_text(text.text)
        text.text += f"\rLater: {facts.fake.word()}"
    return text


def _own(facts: Facts, rng: Random, count: int, write: Sentence) -> Iterator[Text]:
    """What was written in Nexus."""
    for number in range(facts.size(count)):
        person = rng.choice(facts.own if number % 4 == 0 else facts.shared)
        text = _text(facts, rng, person, write(facts, rng, person))
        text.at = working_time(rng, date(2025, 10, 1), date(2025, 11, 14))
        text.filemaker_id, text.in_filemaker, text.in_nexus = "", False, True
        yield text


def _text(facts: Facts, rng: Random, person: Person | None, words: str) -> Text:
    return Text(
        id=facts.fake.uuid(),
        filemaker_id=upper(facts.fake.uuid()),
        person=person,
        owner=person.filemaker_id if person else "",
        text=words,
        at=working_time(rng, _FIRST, _LAST) + timedelta(seconds=rng.randrange(60)),
    )


def _note(facts: Facts, rng: Random, _: Person | None) -> str:
    lines = rng.choices(_SENTENCES, k=rng.choice((1, 1, 2, 3, 5)))
    lines.insert(rng.randrange(len(lines) + 1), f"Ref {facts.fake.word()}")
    return "\r".join(lines) + rng.choice(("", "", "", " ", "\r", "  \r\r"))


def _message(facts: Facts, rng: Random, person: Person | None) -> str:
    at = working_time(rng, _FIRST, _LAST)
    first = (person.first if person else "") or "patient"
    text = rng.choice(_REMINDERS).replace("{first}", first)
    text = text.replace("{day}", f"{at:%d/%m/%Y}").replace("{time}", f"{at:%H:%M}")
    return facts.fake.message(_with_word(facts, text))


def _answer(facts: Facts, rng: Random, _: Person | None) -> str:
    return facts.fake.message(_with_word(facts, rng.choice(_REPLIES)))


def _own_answer(facts: Facts, _: Random, __: Person | None) -> str:
    """A text that nothing in FileMaker is equal to."""
    return facts.fake.message(_with_word(facts, "Please call me about {word}"))


def _with_word(facts: Facts, text: str) -> str:
    return text.replace("{word}", facts.fake.word()) if "{word}" in text else text


def _link_messages(facts: Facts, rng: Random) -> None:
    """Three in ten belong to an appointment; a few name an event that does not exist."""
    events: dict[int, list[Event]] = defaultdict(list)
    for event in facts.events:
        if event.person is not None and event.dated:
            events[id(event.person)].append(event)
    for message in facts.messages:
        theirs = events[id(message.person)]
        if message.in_filemaker:
            theirs = [e for e in theirs if e.in_filemaker]
        else:
            theirs = [e for e in theirs if e.in_nexus]
        if theirs and rng.random() < 0.3:
            message.event = rng.choice(theirs)
            message.event_id = message.event.filemaker_id
        elif rng.random() < 0.005:
            message.event_id = upper(facts.fake.uuid())


def _give_phones(facts: Facts) -> None:
    """Give each text a mobile number: the patient's, or a stranger's."""
    lent: dict[int, str] = {}
    for text in (*facts.messages, *facts.replies):
        own = text.person.mobile if text.person else ""
        text.phone = own or lent.get(id(text.person), "") or facts.fake.mobile()
        if text.person is not None:
            lent[id(text.person)] = text.phone


def _choose_recent(facts: Facts, texts: list[Text], imported: int, own: int) -> None:
    """Rows that prod has and dev does not have yet."""
    newest = sorted((t for t in texts if t.in_nexus), key=lambda t: (t.at, t.id), reverse=True)
    both = [t.id for t in newest if t.in_filemaker]
    ours = [t.id for t in newest if not t.filemaker_id]
    facts.recent |= {*both[: facts.size(imported)], *ours[: facts.size(own)]}
