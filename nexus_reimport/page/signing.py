"""The sign-off on the page: the sheet as it stands, and the form that signs one of its lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nexus_reimport import runner
from nexus_reimport.errors import SettingsError
from nexus_reimport.model import SheetLine, SignOff
from nexus_reimport.record import signatures
from nexus_reimport.settings import Settings

PLACE = "sign-off"  # of the sheet, on the page


@dataclass(frozen=True, slots=True)
class Signing:
    """A form as it was sent: the line, who signs it, and their words."""

    line: str = ""
    who: str = ""
    text: str = ""
    takes_back: bool = False
    seen: str = ""  # the signatures that the page showed, as ``seen_of`` has them; "" for none

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Signing:
        """The form of a request."""
        line, who, text = (given.get(name, "") for name in ("line", "who", "text"))
        return cls(line, who, text, given.get("do") == "withdraw", given.get("seen", ""))


def read(settings: Settings) -> SignOff:
    """The sheet as it stands, with what the dry run that waits has proven."""
    return runner.readable_sheet(settings.name)


def by_a_person(sheet: SignOff) -> tuple[SheetLine, ...]:
    """The lines that somebody can sign now, or whose signature they can take back."""
    return tuple(line for line in sheet.lines if line.for_a_person or line.signed)


def seen_of(sheet: SignOff) -> str:
    """Each line with the number of its signature: a form that is older is told by it."""
    return " ".join(f"{line.id}:{line.signed.number if line.signed else 0}" for line in sheet.lines)


def _is_old(settings: Settings, given: Signing) -> bool:
    """Whether the line was signed, or a signature taken back, since the form was shown."""
    seen = dict(part.split(":", 1) for part in given.seen.split() if ":" in part)
    now = signatures.standing(settings).get(given.line)
    return given.line in seen and seen[given.line] != str(now.number if now else 0)


def sign(settings: Settings, given: Signing) -> dict[str, str]:
    """Sign the line, or take its signature back, as ``nexus-reimport sign`` does.

    Gives field of the form -> what is wrong with it. Nothing was written if there is any.
    """
    if problems := _problems(given):
        return problems
    if _is_old(settings, given):
        return {
            "sign-line": "somebody has signed this line, or taken its signature back, since your"
            " page was shown: look again"
        }
    act = runner.withdraw if given.takes_back else runner.sign
    try:
        act(settings.name, given.line, given.who, given.text)
    except SettingsError as error:
        return {"sign-line": error.what}
    return {}


def _problems(given: Signing) -> dict[str, str]:
    names = {"name": "sign-who", "text": "sign-text"}
    wrong = signatures.problems(given.who, given.text)
    by_field = {} if given.line else {"sign-line": "choose the line"}
    return by_field | {names[what]: f"the {what} {why}" for what, why in wrong.items()}
