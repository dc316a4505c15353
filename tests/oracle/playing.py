"""One run of the package on a clinic with edits, as the oracle looks at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from nexus_reimport.files import rowfile
from nexus_reimport.model import Plan
from nexus_sandbox.filemaker.file import FileTable
from oracle import filemaker_edits, nexus_edits, seen
from oracle.seen import SOURCES, Row, Seen
from support import clinic as clinics
from support.clinic import ROLE, Clinic

Decisions = dict[str, dict[str, str]]
_CHOICES = {
    "when_different": ("filemaker", "nexus"),
    "past_scheduled": ("keep", "completed"),
    **dict.fromkeys(("not_in_filemaker", "left_out_by_rule", "no_filemaker_id"), ("keep", "purge")),
}
_BUDGETS = {
    r"\bat_most = [0-9.]+": "at_most = 1.0",
    r"(matched|resolves|covers)_at_least = [0-9.]+": r"\1_at_least = 0.0",
    r"(owner_not_loaded|holds_nothing|not_in_nexus) = [0-9.]+": r"\1 = 1.0",
    # of each column that has a budget, and of each that has none
    r", misfits_at_most = [0-9.]+": "",
    r'(?m)^("?[\w.]+"? = \{ (?:from|gather) = .*) \}$': r"\1, misfits_at_most = 1.0 }",
}

# Whoever deletes the newest record takes the time of its change along.
_WAIVER = """
[[waivers]]
check = "filemaker_was_not_restored"
at_most = 1
reason = "people delete at random"
who = "the oracle"
until = "2099-12-31"
"""


def open_budgets(clinic: Clinic) -> None:
    """Let any number of values be odd: it is not the budgets that are tried here."""
    text = seen.MAPPING_FILE.read_text(encoding="utf-8")
    for pattern, replacement in _BUDGETS.items():
        text = re.sub(pattern, replacement, text)
    (clinic.folder / "loose.toml").write_text(text, encoding="utf-8")
    clinic.edit("sandbox-dev", 'mapping = "nexus"', 'mapping = "loose.toml"')
    clinic.edit("sandbox-dev", "counts_may_differ = 0.1", "counts_may_differ = 1.0")
    with (clinic.folder / "sandbox-dev.toml").open("a", encoding="utf-8") as file:
        file.write(_WAIVER)


def decide(clinic: Clinic, random: Random) -> Decisions:
    """Decide at random what becomes of rows that FileMaker does not bring, and who is right."""
    path = clinic.folder / "sandbox-dev.toml"
    decisions: Decisions = {}
    entity = ""

    def decided(text: str) -> str:
        nonlocal entity
        if text.startswith("["):
            head = re.match(r"\[decisions\.(\w+)\]", text)
            entity = head[1] if head else ""
        name = text.partition(" =")[0]
        if not entity or name not in _CHOICES:
            return text
        choice = random.choice(_CHOICES[name])
        decisions.setdefault(entity, {})[name] = choice
        if name == "when_different":
            return f'{name} = {{ "*" = "{choice}" }}'
        return f'{name} = "{choice}"'

    path.write_text("\n".join(decided(line) for line in path.read_text().split("\n")))
    return decisions


def edit(clinic: Clinic, random: Random) -> None:
    """Let people work in both systems."""
    with clinic.simulator.edit() as tables:
        filemaker_edits.edit(tables, random, 60)
        events = random.sample(tables[SOURCES["events"]["table"]].records, 12)
        for event in events:
            event.values["startTime"] = ""
    with clinic.connect() as connection:
        nexus_edits.edit(connection, random, 40)
        # An earlier import has brought most of them without FileMaker's id.
        ids = [event.values["id"] for event in events[:9]]
        connection.execute(
            "UPDATE appointments SET filemaker_event_id = NULL"
            " WHERE filemaker_event_id::text = ANY (%s)",
            [[str(one).lower() for one in ids]],
        )


def play(clinic: Clinic, decisions: Decisions) -> Seen:
    """A whole run, committed and verified."""
    filemaker = dict(_records(clinic.simulator.tables))
    before = _nexus(clinic)
    book = clinics.planned()
    book = clinics.approved(book, book.check_before(), dry_on=clinic.server)
    clinics.as_tested(book)
    book.apply()
    report = book.verify()
    assert not report.blocking, report.blocking
    book.sign_off()
    book.seal()
    plan = book.run.load(Plan)
    lists = {
        name: list(rowfile.read_dicts(book.folder, getattr(plan, name)))
        for name in ("ledger", "misfits", "differences")
    }
    return Seen(filemaker, before, _nexus(clinic), plan, decisions, **lists)


def _records(tables: dict[str, FileTable]) -> Iterator[tuple[str, list[Row]]]:
    for source in SOURCES.values():
        yield source["table"], [dict(record.values) for record in tables[source["table"]].records]


def _nexus(clinic: Clinic) -> seen.Nexus:
    with clinic.connect() as application, clinic.connect(role=ROLE) as ours:
        return seen.nexus(application, ours)
