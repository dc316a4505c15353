"""The sample record in docs/ can be checked by every way that the auditor's paper names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import bagit
import pytest

from nexus_reimport import CHECKOUT

SAMPLE = CHECKOUT / "docs" / "sample-record"
SEALS = CHECKOUT / "docs" / "sample-record.seals.txt"
BAGS = sorted(folder for folder in SAMPLE.iterdir() if (folder / "bagit.txt").is_file())
KILOBYTE = 1_000


def checked(folder: Path, seals: Path = SEALS) -> subprocess.CompletedProcess[str]:
    """What the auditor's tool says."""
    command = [sys.executable, "tools/check_record.py", str(folder), "--seals", str(seals)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def test_the_sample_is_as_it_was_sealed_and_as_its_database_held_it() -> None:
    said = checked(SAMPLE)
    assert (said.returncode, said.stderr) == (0, "")
    lines = [line.split(":")[0] for line in said.stdout.splitlines()]
    assert lines[:-1] == [*(b.name for b in BAGS), "index.html"]
    assert lines[-1].startswith("the database knows no run after number 2")
    assert said.stdout.count("as sealed") == len(BAGS) == 2


def test_one_changed_byte_of_the_sample_is_found(tmp_path: Path) -> None:
    copy = shutil.copytree(SAMPLE, tmp_path / "copy")
    verdict = copy / BAGS[0].name / "data" / "verdict.json"
    verdict.write_bytes(verdict.read_bytes().replace(b"COMPLETE", b"COMPLETF"))
    said = checked(copy)
    assert said.returncode == 1
    assert "data/verdict.json" in said.stdout


def test_a_path_or_a_list_of_seals_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    no_list = tmp_path / "seals.txt"
    no_list.write_text("run | sequence | verdict | seal\n")
    for folder, seals, named in (
        (tmp_path / "none", SEALS, "none is not a folder"),
        (SAMPLE, tmp_path / "no.txt", "no.txt"),
        (SAMPLE, no_list, "line 1 is not run,number,verdict,seal"),
    ):
        said = checked(folder, seals)
        assert (said.returncode, said.stdout) == (2, "")
        assert named in said.stderr
        assert "Traceback" not in said.stderr


def test_a_list_of_seals_may_have_the_names_of_its_columns(tmp_path: Path) -> None:
    named = tmp_path / "seals.csv"
    named.write_text("run,sequence,verdict,seal\n" + SEALS.read_text(encoding="utf-8"))
    assert checked(SAMPLE, named).returncode == 0


@pytest.mark.parametrize("bag", BAGS, ids=lambda bag: bag.name)
def test_any_bagit_tool_and_sha256sum_say_so_too(bag: Path) -> None:
    assert bagit.Bag(str(bag)).is_valid()
    for manifest in ("tagmanifest-sha256.txt", "manifest-sha256.txt"):
        subprocess.run(
            ["sha256sum", "--check", "--quiet", "--strict", manifest], cwd=bag, check=True
        )


def test_a_file_that_was_added_is_seen_by_the_command_of_the_paper_and_not_by_sha256sum(
    tmp_path: Path,
) -> None:
    text = (CHECKOUT / "docs" / "auditor.md").read_text(encoding="utf-8")
    (listing,) = re.findall(r"^grep .*find.*$", text, re.MULTILINE)
    copy = shutil.copytree(BAGS[0], tmp_path / BAGS[0].name)
    for names in (["tagmanifest-sha256.txt"], ["tagmanifest-sha256.txt", "data/verdict2.json"]):
        done = subprocess.run(
            ["bash", "-c", listing], cwd=copy, capture_output=True, text=True, check=True
        )
        assert sorted(done.stdout.split()) == sorted(names)
        for manifest in ("tagmanifest-sha256.txt", "manifest-sha256.txt"):
            subprocess.run(["sha256sum", "--check", "--quiet", manifest], cwd=copy, check=True)
        (copy / "data" / "verdict2.json").write_text("{}")
    assert not bagit.Bag(str(copy)).is_valid()


def test_the_paper_names_files_that_are_there() -> None:
    text = (CHECKOUT / "docs" / "auditor.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(data/[\w.]+)`", text))
    assert len(named) > 6
    assert [name for name in named if not (BAGS[0] / name).is_file()] == []


def test_the_sample_is_small_and_names_no_machine() -> None:
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 4_000 * KILOBYTE
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/(tmp|work|home|root)/", text), path
