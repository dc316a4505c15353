"""FileMaker's notes, messages, replies, letters and dates to connect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from nexus_sandbox.clinic.facts import Facts, Person, upper
from nexus_sandbox.clinic.fake import international
from nexus_sandbox.clinic.times import working_time

Values = Mapping[str, object]
_LETTERS, _PLANS = 10, 118
GATEWAY_NUMBER = "0489 999 000"


def gateway_id(filemaker_id: str) -> str:
    """The SMS gateway's id of a message."""
    return f"GW-{filemaker_id[:13]}"


def status(filemaker_id: str) -> str:
    """The status of a message, in FileMaker's words."""
    return ("Sent", "Sent", "Delivered", "Failed")[int(filemaker_id[-1], 16) % 4]


def credits_of(text: str) -> int:
    """The price of a message."""
    # One SMS holds 160 characters.
    return 1 + len(text) // 160


def note_rows(facts: Facts) -> Iterable[Values]:
    """Every note, the empty ones too."""
    for note in facts.notes:
        if note.in_filemaker:
            yield {
                "id": note.filemaker_id,
                "id_Key": note.owner,
                "Date": note.at.date().isoformat(),
                "Note": note.text,
                "Note Type": note.kind,
                "creationAccountName": account(facts, note.filemaker_id),
                "creationTimestamp": _stamp(note.at),
                "creationHostTimestamp": _stamp(note.at),
                "modificationAccountName": account(facts, note.filemaker_id),
                "modificationTimestamp": _stamp(note.at),
                "modificationHostTimestamp": _stamp(note.at),
            }


def account(facts: Facts, filemaker_id: str) -> str:
    """The account that wrote a record; always the same."""
    return facts.staff[int(filemaker_id[:6], 16) % len(facts.staff)].last


def message_rows(facts: Facts) -> Iterable[Values]:
    """Every message that was sent."""
    for number, message in enumerate(facts.messages):
        if not message.in_filemaker:
            continue
        failed = status(message.filemaker_id) == "Failed"
        yield {
            "_kp_MessageID": message.filemaker_id,
            "_kf_ContactID": message.owner,
            "_kf_EventID": message.event_id,
            "_kf_GatewayMessageID": gateway_id(message.filemaker_id),
            "MessageBody": message.text,
            "MessageStatus": status(message.filemaker_id),
            "SendResult": "Number not reachable" if failed else "",
            "SentTimestamp": _stamp(message.at),
            "SMSCredits": credits_of(message.text),
            "MessageCharacterCount": len(message.text),
            "RecipientPhoneMobile": message.phone,
            "RecipientPhoneMobileIntFormat": international(message.phone),
            "SenderName": "Clinic",
            "zz_Serial#": number + 1,
            "zCreatorAccount": account(facts, message.filemaker_id),
            "zTimestampCreated": _stamp(message.at - timedelta(seconds=5)),
            "zTimestampModified": _stamp(message.at + timedelta(seconds=40)),
            "SentDate_c": message.at.date().isoformat(),
        }


def reply_rows(facts: Facts) -> Iterable[Values]:
    """Every answer that came in."""
    for number, reply in enumerate(facts.replies):
        if reply.in_filemaker:
            yield {
                "_kp_ReplyID": reply.filemaker_id,
                "_kf_ContactID": reply.owner,
                "_kf_GatewayMessageID": gateway_id(reply.filemaker_id),
                "ReplyMessageBody": reply.text,
                "Timestamp": _stamp(reply.at),
                "SenderPhoneMobileIntFormat": international(reply.phone),
                "DestinationPhoneMobileIntFormat": international(GATEWAY_NUMBER),
                "zz_Serial#": number + 1,
                "zTimestampCreated": _stamp(reply.at),
                "zTimestampModified": _stamp(reply.at),
                "SentDate_c": reply.at.date().isoformat(),
            }


def letter_rows(facts: Facts) -> Iterable[Values]:
    """The few letters of FileMaker; the last one is to a person who does not exist."""
    rng = facts.chance("letters")
    for number in range(facts.size(_LETTERS)):
        person = rng.choice(facts.shared)
        referrer = rng.choice(facts.referrers)
        at = working_time(rng, date(2016, 1, 4), date(2020, 6, 30))
        yield {
            "id": upper(facts.fake.uuid()),
            "id.key": upper(facts.fake.uuid()) if number == 9 else person.filemaker_id,
            "Name": _name(person),
            "Date": at.date().isoformat(),
            "To": f"Dr {referrer.last}",
            "Dear": f"Dear Dr {referrer.last}",
            "Title": f"Re {_name(person)}",
            "Body": f"Thank you for {_name(person)}.\r\rRef {facts.fake.word()} & more <b>",
            "Type": rng.choice(("Report", "Thanks")),
            "Letter by": account(facts, "0" * 6),
            "creationAccountName": account(facts, "0" * 6),
            "creationTimestamp": _stamp(at),
            "modificationTimestamp": _stamp(at),
        }


def plan_rows(facts: Facts) -> Iterable[Values]:
    """Persons to call before a plan ends; every thirtieth does not exist."""
    rng = facts.chance("dates to connect")
    planned = [person for person in facts.shared if person.plan]
    for number in range(facts.size(_PLANS)):
        person = rng.choice(planned)
        end = person.plan[1] if person.plan else date(2026, 1, 31)
        created = working_time(rng, date(2024, 7, 1), date(2025, 11, 7))
        yield {
            "PrimaryKey": upper(facts.fake.uuid()),
            "Contact_ID": upper(facts.fake.uuid()) if number % 30 == 29 else person.filemaker_id,
            "End_Date": end.isoformat(),
            "To_Contact_Date": (end - timedelta(days=28)).isoformat(),
            "Funding": person.funding,
            "Clinic": person.place.name if person.place else "",
            "Full Name": _name(person),
            "CreatedBy": account(facts, person.filemaker_id),
            "ModifiedBy": account(facts, person.filemaker_id),
            "CreationTimestamp": _stamp(created),
            "ModificationTimestamp": _stamp(created),
        }


def _name(person: Person) -> str:
    return f"{person.first} {person.last}".strip()


def _stamp(at: datetime) -> str:
    return at.isoformat(" ")
