"""One merge of a card of Nexus with FileMaker's contact details, and such details."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from nexus_reimport import convert
from nexus_reimport.convert import registry
from nexus_reimport.mapping import Entity
from nexus_reimport.model import ColumnChange
from nexus_reimport.planning.merge import Merger

CONTACT = {
    "gather": "d",
    "convert": "contact_card",
    "keys": ["phones", "emails", "email"],
    "replaces": ["phone", "mobile"],
    "with": {"kind": "k", "value": "v", "label": "l", "default_mobile": "m", "default_email": "e"},
}

KEYS = registry.of("address_card").parts["addresses"]

ADDRESS = {
    "gather": "d",
    "convert": "address_card",
    "keys": KEYS,
    "with": {
        name: name
        for name in ("kind", "label", "line1", "line2", "suburb", "state", "postcode", "country")
    },
}

BLANK = {"label": "", "default_mobile": "", "default_email": ""}


class Side:
    """One merge of a card: Nexus's ``held`` (JSON), FileMaker's contact details, decisions."""

    def __init__(
        self, held: Any, details: list[dict[str, str]], decisions: Any = None, **column: Any
    ) -> None:
        is_address = any(detail["kind"] == "Address" for detail in details) or "line1" in column
        column.pop("line1", None)
        spec = {**(ADDRESS if is_address else CONTACT), **column}
        entity = {"table": "t", "source": "s", "identity": [], "columns": {"card": spec}}
        self.merger = Merger(Entity.model_validate(entity), decisions or {}, {"card"})
        make = convert.address_card if is_address else convert.contact_card
        self.fed = make(details).value
        self.row = {"card": held if held is None else json.dumps(held)}
        self.after = self.merger.merge("key", self.row, {"card": self.fed}, existed=True)
        self.card = json.loads(str(self.after["card"] or "{}"))

    def of(self, part: str) -> ColumnChange:
        (found,) = [c for c in self.merger.changes() if c.column == f"card.{part}"]
        return found

    def listed(self, part: str) -> list[str]:
        return [line[2] for line in self.merger.differences if line[1] == f"card.{part}"]


def mobile(number: str, **more: str) -> dict[str, str]:
    return {**BLANK, "kind": "Mobile", "value": number, **more}


def email(address: str, **more: str) -> dict[str, str]:
    return {**BLANK, "kind": "Email", "value": address, **more}


def address(line1: str, suburb: str = "", country: str = "") -> dict[str, str]:
    return {
        "kind": "Address",
        "label": "",
        "line1": line1,
        "line2": "",
        "suburb": suburb,
        "state": "",
        "postcode": "",
        "country": country,
    }


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    else:
        yield re.sub(r"[^a-z0-9@]", "", str(value).casefold())


def holds(value: Any, wanted: str) -> bool:
    """Whether some text of ``value`` says ``wanted``, in whichever format."""
    (sought,) = leaves(wanted)
    return any(sought in leaf for leaf in leaves(value))
