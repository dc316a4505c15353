"""A small clinic of two tables, its records and rows as a test of planning writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexus_reimport.settings import EntityDecisions
from support import SUPPORT
from support.by_itself import Written

COLUMNS = {
    "people": {
        "id": "integer",
        "fid": "text",
        "name": "varchar(12)!",
        "born": "date",
        "sex": "text",
        "site_id": "integer",
        "seen": "timestamp",
        "stamp": "text",
        "plan": "text",
        "starts": "date",
        "ends": "date",
        "data": "jsonb",
        "card": "jsonb",
        "made": "timestamptz",
        "own": "text",
    },
    "visits": {
        "id": "uuid",
        "person_id": "integer",
        "starts": "timestamptz",
        "remark": "text",
        "clock": "text",
        "with_id": "integer",
        "kind": "text",
        "status": "text",
        "told": "text",
        "first": "text",
        "made": "timestamptz",
    },
}
SITES = [("1", "North"), ("2", "South"), ("3", "Twice"), ("4", " twice "), ("5", "  ")]


def written(folder: Path, **more: Any) -> Written:
    """The clinic, with what a test puts into it."""
    given: dict[str, Any] = {
        "lookups": {"site.label": SITES},
        "next_keys": {"people": (100, 2_000_000_000)},
        "decisions": {"people": decided(), "visits": decided()},
    }
    return Written(folder, (SUPPORT / "by_itself.toml").read_text(), COLUMNS, **{**given, **more})


def declared(folder: Path, *lines: tuple[str, str], **more: Any) -> Written:
    """The clinic, with other lines in its mapping."""
    clinic = written(folder, **more)
    for line, instead in lines:
        assert line in clinic.mapping
        clinic.mapping = clinic.mapping.replace(line, instead)
    return clinic


def decided(**more: Any) -> EntityDecisions:
    every = {"not_in_filemaker": "keep", "left_out_by_rule": "keep", "no_filemaker_id": "keep"}
    return EntityDecisions.model_validate({**every, "when_different": {"*": "filemaker"}, **more})


def person(number: int, **more: str) -> dict[str, str]:
    return {"id": f"P{number}", "name": f"Person {number}", **more}


def told(column: str, reason: str, record: str, became: str, entity: str = "people") -> Any:
    return (entity, column, reason, record, became)


NO_SEEN = "no seen: the time of the plan is used"


def visit(number: int, of: str = "P1", day: str = "2025-07-01", **more: str) -> dict[str, str]:
    return {"id": f"V{number}", "of": of, "day": day, "time": "09:00:00", **more}


def of_visits(made: Any) -> dict[str | None, dict[str, str | None]]:
    """The planned visits by FileMaker's id."""
    ids = {line[5]: line[4] for line in made.ledger if line[0] == "visits"}
    return {ids[key]: row for key, row in made.rows("visits").items()}


ONE = person(1, seen="2025-07-01 09:00")


def gone(number: int, **more: str) -> dict[str, str | None]:
    """A person of Nexus that FileMaker does not bring."""
    row: dict[str, str | None] = {"id": str(number), "fid": f"G{number}", "name": f"Gone {number}"}
    return {**row, "data": "{}", "card": "{}", **more}
