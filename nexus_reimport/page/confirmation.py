"""What a person types before anything is written: the environment, and a number that they read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nexus_reimport.text import one_line


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A form as it was sent: who, why, and the typed phrase."""

    name: str = ""
    reason: str = ""
    phrase: str = ""
    digest: str = ""  # of what the person has looked at

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Confirmation:
        """The form of a request."""
        parts = {name: one_line(given.get(name, "")) for name in ("name", "reason", "phrase")}
        return cls(**parts, digest=given.get("digest", "").strip().lower())

    def problems(self, word: str, count: int, digest: str) -> dict[str, str]:
        """Field -> what is wrong with it; ``word`` and ``count`` are what must be typed."""
        by_field = {}
        if not self.name:
            by_field["name"] = "say who you are: it stands in the record"
        if not self.reason:
            by_field["reason"] = "say why: it stands in the record"
        if not is_meant(self.phrase, word, count):
            by_field["phrase"] = (
                "this is not the environment's word and that number, with a blank between them"
            )
        if self.digest != digest:
            by_field["digest"] = "what you have looked at is not what stands here now: look again"
        return by_field


def is_meant(typed: str, word: str, count: int) -> bool:
    """Whether ``PROD 2,877`` was typed; the comma may be left out, capitals may be small."""
    match = re.fullmatch(r"(\S+)\s+([0-9][0-9,]*)", typed)
    if match is None:
        return False
    return (match[1].upper(), match[2].replace(",", "")) == (word, str(count))
