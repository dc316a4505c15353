"""Records and private files are their owner's alone, and every start asks whether they are."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_reimport import record, settings
from nexus_reimport.errors import RecordError
from nexus_reimport.files import private
from nexus_reimport.settings import credentials
from support.records import complete


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def somebody_else(known: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run was sealed, this process is another user's."""
    complete(known)
    another = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: another)


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.rglob("*"))}


def refusal(known: settings.Settings) -> RecordError:
    before = sorted((known.records_folder).iterdir())
    with pytest.raises(RecordError) as refused:
        record.create(known)
    assert sorted((known.records_folder).iterdir()) == before
    assert refused.value.state == "nothing was started"
    return refused.value


def test_a_sealed_record_is_its_owners_alone_whatever_the_umask(
    known: settings.Settings, no_umask: None
) -> None:
    run = complete(known)
    assert modes(known.records_folder) <= {private.FOLDER, private.FILE}
    assert modes(known.private_folder) <= {private.FOLDER, private.FILE}
    assert modes(known.folders.runs) <= {private.FOLDER, private.FILE}, "also those above it"
    assert run.problems() == []


@pytest.mark.parametrize("place", ["runs", "private"])
def test_a_start_is_refused_where_others_can_read_and_the_command_that_it_names_helps(
    known: settings.Settings, place: str
) -> None:
    complete(known)
    folder = getattr(known.folders, place) / known.name
    folder.chmod(0o750)
    (folder / "a copy.txt").touch()
    (folder / "a copy.txt").chmod(0o640)
    refused = refusal(known)
    assert refused.what == (
        f"2 files or folders are open to other users, the first of them {folder}"
    )
    subprocess.run(shlex.split(refused.next), check=True)
    assert record.create(known).events()


@pytest.mark.parametrize("place", ["runs", "private"])
def test_what_an_editor_has_left_in_a_closed_folder_is_closed(
    known: settings.Settings, place: str
) -> None:
    complete(known)
    folder = getattr(known.folders, place) / known.name / "deep"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "manual.xlsx").touch()
    (folder / "manual.xlsx").chmod(0o664)
    record.create(known)
    assert modes(folder) == {private.FOLDER, private.FILE}


def test_a_start_is_refused_where_a_file_is_somebody_elses(
    known: settings.Settings, somebody_else: None
) -> None:
    refused = refusal(known)
    folder = known.records_folder
    assert f"not yours, the first of them {folder}" in refused.what
    assert refused.next == f'sudo chown -R "$(id -un)" {folder}'


def test_a_link_is_not_followed(known: settings.Settings, tmp_path: Path) -> None:
    complete(known)
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o644)
    (known.private_folder / "link").symlink_to(outside)
    assert record.create(known).events()


def test_a_file_of_secrets_that_is_somebody_elses_is_refused(
    known: settings.Settings, environment_files: Path, somebody_else: None
) -> None:
    path = environment_files / ".env.sandbox-dev"
    values: dict[str, str] = {}
    assert list(credentials.read(path, values)) == [
        ".env.sandbox-dev: it belongs to another user, who can read and change it; run"
        f' sudo chown "$(id -un)" {path}'
    ]
    assert values == {}
