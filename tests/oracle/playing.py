"""One run of the package on a clinic with edits, as the oracle looks at it."""

from __future__ import annotations

import re
import shutil
import tomllib
from contextlib import suppress
from pathlib import Path
from random import Random

from nexus_reimport import runbook, settings
from nexus_reimport.errors import StopError
from nexus_reimport.files import rowfile
from nexus_reimport.model import Plan
from oracle import by_hand, channels, filemaker_edits, nexus_edits, seen, variations, way_back
from oracle.channels import Ways
from oracle.seen import SOURCES, Mapped, Seen
from support import clinic as clinics
from support import rollbacks
from support.clinic import ROLE, Clinic

_MAPPING = "loose.toml"
_WRITES = ("differences", "all")
_ASKS_OF_THE_PAST = "\n[manual]\npast = true\n"
_CLEARABLE = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND (is_nullable = 'YES' OR data_type = 'jsonb')
"""
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


def prepare(clinic: Clinic, random: Random) -> None:
    """Other options in the mapping, and no budgets: it is not they that are tried here."""
    text = seen.MAPPING_FILE.read_text(encoding="utf-8")
    clearable = {(table, column) for table, column in clinic.rows(_CLEARABLE)}
    text = variations.vary(random, text, clearable)
    for pattern, replacement in _BUDGETS.items():
        text = re.sub(pattern, replacement, text)
    (clinic.folder / _MAPPING).write_text(text, encoding="utf-8")
    for name in map(_named, clinic.databases):
        clinic.edit(name, 'mapping = "nexus"', f'mapping = "{_MAPPING}"')
        clinic.edit(name, "counts_may_differ = 0.1", "counts_may_differ = 1.0")
        with (clinic.folder / f"{name}.toml").open("a", encoding="utf-8") as file:
            file.write(_WAIVER + _ASKS_OF_THE_PAST)


def _named(kind: str) -> str:
    return f"sandbox-{kind}"


def decide(clinic: Clinic, random: Random, kind: str = "dev") -> None:
    """Another decision about everything that is decided, and another way to write and to read."""
    path = clinic.folder / f"{_named(kind)}.toml"
    text = variations.write(path.read_text(), variations.decide(random, _entities(clinic)))
    text = re.sub(r'(?m)^write = "\w+"', f'write = "{random.choice(_WRITES)}"', text)
    path.write_text(text)


def _entities(clinic: Clinic) -> Mapped:
    mapping = tomllib.loads((clinic.folder / _MAPPING).read_text(encoding="utf-8"))
    entities: Mapped = mapping["entities"]
    return entities


def edit(clinic: Clinic, random: Random) -> None:
    """Let people work in both systems."""
    with clinic.simulator.edit() as tables:
        filemaker_edits.edit(tables, random, 60)
        events = tables[SOURCES["events"]["table"]].records
        events = random.sample(events, min(12, len(events)))
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


def play(clinic: Clinic, ways: Ways, kind: str = "dev", *, links_only: bool = False) -> Seen:
    """A whole run, committed and verified, in which each source is read in its way."""
    sheet = _sheet(clinic, kind)
    book = _approved(clinic, ways, kind, links_only=links_only)
    filemaker = channels.arrived(clinic.simulator.tables, ways)
    before = _nexus(clinic, kind)
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
    values = by_hand.given(sheet, before.tables) if not links_only else {}
    decisions = tomllib.loads((clinic.folder / f"{_named(kind)}.toml").read_text())["decisions"]
    after, entities = _nexus(clinic, kind), _entities(clinic)
    return Seen(filemaker, before, after, plan, entities, decisions, **lists, given=values)


def play_in_prod(clinic: Clinic, random: Random, ways: Ways, dev: Seen) -> tuple[Seen, list[str]]:
    """The same run on prod, where people have written other things; which new ids are others."""
    clinic.add_prod()
    with clinic.connect("prod") as connection:
        nexus_edits.edit(connection, random, 30)
    decide(clinic, random, "prod")
    prod = play(clinic, ways, "prod")
    in_dev, in_prod = _new(dev), _new(prod)
    both = in_dev.keys() & in_prod.keys()
    return prod, [f"{one} has two new ids" for one in both if in_dev[one] != in_prod[one]]


def _new(run: Seen) -> dict[tuple[str, str], str]:
    """Entity and FileMaker id -> the id of its new row."""
    return {
        (line["entity"], line["filemaker_id"]): line["nexus_id"]
        for line in run.ledger
        if line["outcome"] == "new"
    }


def _nexus(clinic: Clinic, kind: str = "dev") -> seen.Nexus:
    with clinic.connect(kind) as application, clinic.connect(kind, ROLE) as ours:
        return seen.nexus(application, ours)


def play_again(clinic: Clinic, ways: Ways, others: Ways) -> list[str]:
    """A run after which nothing was edited, read in another way, must write nothing."""
    tables = clinic.simulator.tables
    is_alike = channels.arrived(tables, others) == channels.arrived(tables, ways)
    before = clinic.state()
    play(clinic, others if is_alike else ways)
    after = clinic.state()
    return [
        f"{table}: a second run has changed it" for table in after if after[table] != before[table]
    ]


def write_meanwhile(clinic: Clinic, random: Random, ways: Ways) -> list[str]:
    """Let people write in Nexus once a run is approved; what is wrong if it is executed then."""
    book = _approved(clinic, ways)
    as_planned = clinic.state()
    with clinic.connect() as connection:
        nexus_edits.edit(connection, random, 2)
    edited = clinic.state()
    if edited != as_planned:
        with suppress(StopError):
            book.apply()
            return ["the run was executed, although people had written since its preflight"]
    book.seal()
    return [] if clinic.state() == edited else ["a run that was refused has written"]


def _approved(
    clinic: Clinic, ways: Ways, kind: str = "dev", *, links_only: bool = False
) -> runbook.Runbook:
    name = _named(kind)
    channels.read(clinic, ways, name)
    book = clinics.surveyed(name, links_only=links_only)
    try:
        book.plan()
    except StopError as stopped:
        # What people gave is for other rows than there are now; what these are is tried elsewhere.
        if "of manual.xlsx cannot be used" not in str(stopped):
            raise
        book.seal()
        _sheet(clinic, kind).unlink()
        return _approved(clinic, ways, kind, links_only=links_only)
    # Prod must have been rehearsed on a copy.
    dry_on = clinic.server if kind == "dev" else None
    book = clinics.approved(book, book.check_before(), dry_on)
    clinics.as_tested(book)
    return book


def give(clinic: Clinic, random: Random, kind: str = "dev") -> None:
    """Let people fill in the newest sheet, leave the one that lies there, or take it away."""
    here = _sheet(clinic, kind)
    sheets = sorted(here.parent.glob(f"*/{here.name}"), key=lambda path: path.stat().st_mtime)
    how = random.random()
    if sheets and how < 0.7:
        shutil.copy(sheets[-1], here)
        by_hand.fill(random, here, _nexus(clinic, kind).tables)
    elif how < 0.8:
        here.unlink(missing_ok=True)


def _sheet(clinic: Clinic, kind: str) -> Path:
    return settings.load(_named(kind)).by_hand_sheet


def take_back(clinic: Clinic, random: Random, run: Seen) -> list[str]:
    """Take the run back, after people have written or not; what is wrong then."""
    with clinic.connect() as connection:
        nexus_edits.edit(connection, random, random.choice((0, 15)))
    edited = _nexus(clinic)
    newer = random.choice(("keep", "discard"))
    rollbacks.taken_back(newer)
    back = _nexus(clinic)
    return list(way_back.problems(run.before, run.after, edited, back, keeps=newer == "keep"))
