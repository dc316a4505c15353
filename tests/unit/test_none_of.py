"""No query is written so that PostgreSQL may have to compare each row with each key."""

from __future__ import annotations

from nexus_reimport import PACKAGE


def test_no_statement_says_not_in_of_a_query_of_rows() -> None:
    """Of more keys than work_mem holds each row was compared with each of them: for hours."""
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "NOT IN (" in line
    ]
    assert found == []
