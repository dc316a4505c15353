"""The table of runs on the page, and the files of their records."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.page import front, history, outcome
from nexus_reimport.page.desk import Desk
from nexus_reimport.record import run as runs
from nexus_reimport.record.sealed import front as run_pages
from nexus_reimport.runner import notebook
from nexus_reimport.settings import Settings


def test_every_run_is_in_a_table_of_the_page_and_in_one_alone(
    known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest twenty were shown, and for the others a terminal was needed."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    monkeypatch.setattr(history, "SHOWN", 2)
    runs = [record.create(known).id for _ in range(5)]
    tables = [history.of(known, None)]
    while tables[-1].older:
        tables.append(history.of(known, None, tables[-1].newest_older))
    assert [[row.run.id for row in table.past] for table in tables] == [
        [runs[4], runs[3]],
        [runs[2], runs[1]],
        [runs[0]],
    ]
    assert [table.older for table in tables] == [3, 1, 0]
    assert front.gather(Desk("sandbox-dev")).runs.newest_older == runs[2]


def test_only_whole_files_of_the_records_own_folder_are_served(
    known: Settings, tmp_path: Path
) -> None:
    run = runs.of(known, "20260101T000000Z-0000")
    (run.folder / "data").mkdir(parents=True)
    (run.folder / "journal.jsonl").write_text("{}\n")
    (run.folder / "data" / "01_preflight.html").write_text("page")
    (tmp_path / "secret").write_text("secret")
    (run.folder / "link").symlink_to(tmp_path / "secret")
    (run.folder / "folder").symlink_to(tmp_path, target_is_directory=True)
    assert history.files(run) == ("data/01_preflight.html", "journal.jsonl")
    for wrong in (
        "../secret",
        "link",
        "folder/secret",
        "/etc/passwd",
        "data/../journal.jsonl",
        ".",
    ):
        assert history.file(run, wrong) is None


def test_the_pages_of_a_run_stand_in_the_order_in_which_they_were_executed(
    known: Settings,
) -> None:
    """``03_verify-2`` stood before ``03_verify``, and a tenth one before the second."""
    names = ["01_preflight", "03_verify", *(f"03_verify-{n}" for n in range(2, 12)), "90_rollback"]
    expected = [f"{name}.html" for name in names]
    run = record.create(known)
    for name in sorted(expected):
        (run.folder / name).touch()
    assert [*history.past(run, {}).pages] == expected
    assert [*history.files(run)[: len(expected)]] == expected
    assert [*outcome.of(run).pages] == expected
    assert run_pages.read(run.bag).pages == tuple(f"data/{name}" for name in expected)
    for page, newest in (("01_preflight", "01_preflight"), ("03_verify", "03_verify-11")):
        assert Path(notebook.latest(run, page)).name == f"{newest}.html"
