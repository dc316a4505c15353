"""``contact_json`` and ``address_json`` in the shapes that Nexus holds side by side."""

from __future__ import annotations

from random import Random
from typing import Any

from nexus_sandbox.clinic.facts import Detail, Person

Card = dict[str, Any]


def contact_card(person: Person, rng: Random) -> Card:
    """Phones and e-mails: in the newer shape, in the older one, or as plain text."""
    details = person.details if person.nexus_details is None else person.nexus_details
    phones = [d for d in details if d.kind in ("Mobile", "Phone")]
    emails = [d for d in details if d.kind.startswith("E") and ("@" in d.value or d.value == "1")]
    form = rng.random()
    if person.nexus_details is None and form < 0.05:
        card = _plain(phones, emails)
    elif form < 0.4:
        card = _older(phones, emails)
    else:
        card = _newer(phones, emails)
    if rng.random() < 0.1:
        card["preferred_contact"] = rng.choice(("mobile", "email", "post"))  # Nexus's own
    return card


def address_card(person: Person, rng: Random) -> Card:
    """Addresses: as the import of the contact details wrote them, or as the screen does."""
    details = person.details if person.nexus_details is None else person.nexus_details
    addresses = [d for d in details if d.kind == "Address"]
    if not addresses:
        return {}
    line, second, suburb, state, postcode = addresses[0].parts
    top = {"street": line, "suburb": suburb, "state": state, "postcode": postcode}
    if rng.random() < 0.35:
        shown = {"street": line, "street2": second, "suburb": suburb, "postcode": postcode}
        return {**shown, "state": state, "type": "home", "default": True}
    card: Card = {"addresses": [_address(one) for one in addresses], **top}
    if rng.random() < 0.05:
        card["parking"] = "at the back"  # Nexus's own
    return card


def _newer(phones: list[Detail], emails: list[Detail]) -> Card:
    return {
        "phones": [{"type": d.kind.lower(), "number": d.value, "label": d.label} for d in phones],
        "emails": [{"address": d.value, "label": d.label} for d in emails],
        "email": emails[0].value if emails else "",
    }


def _older(phones: list[Detail], emails: list[Detail]) -> Card:
    """kind -> label -> value and whether it is the default."""
    card: Card = {}
    for detail in (*phones, *emails):
        kind = "email" if detail in emails else detail.kind.lower()
        labels = card.setdefault(kind, {})
        label = detail.label or "Main"
        while label in labels:
            label += " 2"
        labels[label] = {"value": detail.value, "default": detail.default}
    return card


def _plain(phones: list[Detail], emails: list[Detail]) -> Card:
    card: Card = {}
    for detail in (*phones, *emails):
        card.setdefault("email" if detail in emails else detail.kind.lower(), detail.value)
    return card


def _address(detail: Detail) -> dict[str, str]:
    names = ("line1", "line2", "suburb", "state", "postcode")
    shown = ", ".join(part for part in (*detail.parts, "Australia") if part)
    held = dict(zip(names, detail.parts, strict=True))
    return {**held, "country": "Australia", "label": detail.label, "full_address": shown}
