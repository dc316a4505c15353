"""How numbers, times and names stand on the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from nexus_reimport import naming, wording
from nexus_reimport.errors import ReimportError, repair

_PAGE_WORDS = {
    "run 01_preflight again": "start another dry run",
    "run 90_rollback again": "look again",
    "the preflight": "the dry run",
    "the package": "this program",
}
_MAPPING = re.compile(r"\bthe mapping\b(?!')")
_EXPLAINED = "the mapping (which FileMaker field feeds what)"
_BEGIN_AGAIN = re.compile(r"\bbegin again \(nexus-reimport (run|relink|rollback) [^)]*\)")
_NEW_RUN = re.compile(  # the page has the run's own beside what is told of it
    r"\bnexus-reimport (run|relink|rollback) \S+ begins a new run; nexus-reimport record show [^;]*"
    r" shows what became of this one"
)
_BUTTONS = {"run": "start another dry run", "rollback": "look again"}
_DECIDE = re.compile(r"\bnexus-reimport finish \S+ prints what a person can decide")
_COMMAND = re.compile(r" \(nexus-reimport run [^)]*\)")  # the page has a button for it
_RELINK = re.compile(r"\brun 01_preflight again \((nexus-reimport relink [^)]*)\)")  # none for it
NOTHING, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def number(value: int | None) -> str:
    """``2,842``; a dash where nothing is known."""
    return NOTHING if value is None else f"{value:,}"


def change(value: int | None) -> str:
    """Rows more or less, ``+4``, or ``same number``, whatever is in them; "" where unknown."""
    if value is None:
        return ""
    return f"+{value:,}" if value > 0 else f"{MINUS}{-value:,}" if value else "same number"


def clock(at: datetime, zone: ZoneInfo) -> str:
    """The time of the day, in the clinic's zone."""
    return f"{at.astimezone(zone):%H:%M:%S}"


def day(at: datetime, zone: ZoneInfo) -> str:
    """The day, in the clinic's zone."""
    return f"{at.astimezone(zone):%Y-%m-%d}"


def lately(at: datetime, zone: ZoneInfo, now: datetime | None = None) -> str:
    """The time of the day and its zone; with the day where that is not today."""
    is_today = day(at, zone) == day(now or datetime.now(UTC), zone)
    return f"{at.astimezone(zone):%H:%M:%S %Z}" if is_today else moment(at, zone)


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Day, time and zone, in the clinic's own: records are in UTC, some hours come twice."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def ago(at: datetime, now: datetime | None = None) -> str:
    """``3 days ago``, ``12 minutes ago``, ``just now``; of a clock that was set back, how much."""
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    where = "ago" if seconds > 0 else "ahead of this machine's clock"
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = int(abs(seconds) // length)
        if count:
            return f"{count} {unit if count == 1 else unit + 's'} {where}"
    return "just now"


def seconds(value: float) -> str:
    """``0.7 s``, ``55 s``, ``2 min 05 s``."""
    if value >= 60:
        return f"{int(value // 60)} min {int(value % 60):02} s"
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def verdict(name: str) -> str:
    """``COMMITTED UNVERIFIED``: as in the record, to be read."""
    return name.replace("_", " ")


_PAGES = {"01": "preflight", "02": "execute", "03": "verify", "90": "rollback"}


def page_name(path: str) -> str:
    """An archived page as people call it: ``preflight``, ``preflight 2``."""
    name = path.rpartition("/")[2].removesuffix(".html")
    number, _, rest = name.partition("_")
    tries = rest.partition("-")[2]
    known = _PAGES.get(number)
    return f"{known} {tries}".strip() if known else name


def sum_of(counts: dict[str, int]) -> int:
    """All of them."""
    return sum(counts.values())


def column(name: str) -> str:
    """A column that points at something, as people call what it points at."""
    return name.removesuffix("_id").replace("_", " ")


def upper_first(name: str) -> str:
    """The beginning of a sentence."""
    return name[:1].upper() + name[1:]


def in_page_words(text: str) -> str:
    """What a notebook's reader is told, for somebody who has only the page in front of them."""
    for command in (_BEGIN_AGAIN, _NEW_RUN):
        text = command.sub(lambda match: _BUTTONS.get(match[1], match[0]), text)
    text = _RELINK.sub(r"give the command \1 again", text)
    for runbook_word, page_word in _PAGE_WORDS.items():
        text = text.replace(runbook_word, page_word)
    text = _MAPPING.sub(_EXPLAINED, text)
    return _COMMAND.sub("", _DECIDE.sub("decide by the list at the top of Data management", text))


def repaired(error: ReimportError) -> str:
    """What an error says to do; what is to be tried again then, has a button."""
    return in_page_words(repair(error))


FILTERS: dict[str, Callable[..., object]] = {
    "number": number,
    "had_to_be_written": wording.had_to_be_written,
    "reimporting": wording.reimporting,
    "repaired": repaired,
    "in_page_words": in_page_words,
    "change": change,
    "clock": clock,
    "day": day,
    "lately": lately,
    "moment": moment,
    "ago": ago,
    "seconds": seconds,
    "at_most": wording.at_most,
    "rows": naming.rows,
    "named": naming.named,
    "words": naming.words,
    "column": column,
    "page_name": page_name,
    "sum_of": sum_of,
    "upper_first": upper_first,
    "verdict": verdict,
}
