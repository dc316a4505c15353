"""The page for somebody at night has every error, every code, every check and every verdict."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from typing import Any

from nexus_reimport import CHECKOUT, checks
from nexus_reimport.record.verdict import EXIT_CODES, Verdict

LISTS: dict[str, Any] = runpy.run_path(str(CHECKOUT / "tools" / "list_errors.py"))
TEXT = (CHECKOUT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
# The words of these errors are those of another one, or stand in a table of codes: (module, kind).
FROM_ELSEWHERE = {
    ("errors", "ReimportError"),  # what is wrong with a disk
    ("cli.app", "SettingsError"),  # a mistake on the command line, in the words of the parser
    ("cli.app", "ReimportError"),  # an interrupt
    ("cli.answers", "SettingsError"),  # what an answer must be
    ("cli.init", "SettingsError"),  # what does not fit the settings
    ("settings.loading", "SettingsError"),  # likewise
    ("nexus_sandbox.stack.lifecycle", "SandboxRefused"),
    ("runner.ending", "StopError"),  # an interrupt
    ("cli.record_views", "SettingsError"),
    ("filemaker.answer", "SourceError"),
    ("filemaker.answer", "TransientError"),
    ("filemaker.exports.files", "ExportError"),  # a file that is not there
    ("filemaker.http", "SourceError"),
    ("filemaker.http", "TransientError"),
    ("filemaker.data_api.envelope", "SourceError"),
    ("filemaker.odata.client", "SourceError"),
    ("filemaker.odata.links", "SourceError"),
    ("filemaker.exports.files", "SourceError"),
    ("filemaker.exports.spreadsheet", "SourceError"),
    ("mapping.loading", "MappingError"),
    ("mapping.problems", "MappingError"),
    ("nexus.connection.denied", "Denied"),
    ("nexus.rights.lacking", "MissingRights"),
    ("runbook.opening", "Denied"),
    ("nexus.connection.pg_tools", "TargetError"),  # why a connection was refused
    ("nexus.connection.driver_errors", "TargetError"),  # likewise
    ("nexus.connection.waiters", "LockConflict"),
    ("runbook.maintenance", "ReimportError"),  # the window is still up
    ("runbook.gates", "StopError"),
    ("page.gates", "StopError"),
    ("runner.notebook", "ReimportError"),  # what a page has said
    ("stages.approval", "StopError"),
    ("stages.snapshot", "SourceError"),
    ("storage", "StorageError"),  # a code of S3
    ("nexus_sandbox.stack.client", "SandboxError"),
}


def rows_of(heading: str) -> list[str]:
    """The first cells of the table under a heading."""
    part = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [row.split("|")[1].strip() for row in part.splitlines() if row.startswith("|")][2:]


def test_the_tables_are_as_the_code_is() -> None:
    """If this fails: python tools/list_errors.py"""
    assert LISTS["filled"](TEXT) == TEXT


def test_every_module_that_raises_is_listed_once() -> None:
    """If this fails: name the module under the heading of the page where it belongs."""
    raising = {m.module for m in LISTS["messages"]() if not LISTS["is_blank"](m)}
    listed = Counter(LISTS["listed"](TEXT))
    assert raising - set(listed) == set()
    assert set(listed) - raising == set(), "these raise nothing any more"
    assert [name for name, count in listed.items() if count > 1] == []


def test_an_error_without_words_of_its_own_is_known_to_have_them_from_elsewhere() -> None:
    blank = {(m.module, m.kind) for m in LISTS["messages"]() if LISTS["is_blank"](m)}
    assert blank - FROM_ELSEWHERE == set()


def test_every_kind_of_error_every_verdict_and_every_exit_code_has_its_line() -> None:
    kinds = {name for row in rows_of("By kind") for name in row.split(", ")}
    assert kinds == set(LISTS["kinds"]())
    assert set(rows_of("By verdict")) == {str(verdict) for verdict in Verdict}
    codes = {*LISTS["kinds"]().values(), *EXIT_CODES.values(), 0}
    assert {int(code) for code in rows_of("By exit code")} == codes


def test_every_check_is_listed_under_its_stage() -> None:
    for one in checks.REGISTRY:
        if one.stage.__module__.startswith("nexus_reimport."):
            assert f"| `{one.name}` |" in TEXT


def test_the_messages_are_found_in_the_code() -> None:
    """The tests above would be empty if nothing was found."""
    words = [m.words for m in LISTS["messages"]()]
    assert len(words) > 200
    assert "others have waited for us as long as max_writers_wait allows: … s" in words
    assert "FileMaker redirects to another address (HTTP …)" in words


def test_every_error_says_what_to_do_next() -> None:
    """If this fails: give the error a ``next``: an imperative, and the command if there is one."""
    assert LISTS["without_remedy"]() == []


def test_no_table_is_empty() -> None:
    tables = re.findall(r"-->\n(.*?)<!-- end -->", TEXT, re.S)
    assert len(tables) > 25
    assert [t for t in tables if t.count("\n") < 3] == []
