"""``nexus-reimport init``, as a person at a terminal answers it, and as a script does."""

from __future__ import annotations

import os
import pty
import select
import stat
import sys
import time
from pathlib import Path

import pytest

from nexus_reimport import settings as environments
from nexus_reimport.errors import SettingsError
from nexus_reimport.runbook import doctor
from nexus_reimport.settings import template
from nexus_sandbox.filemaker import exports
from support.clinic import Clinic
from support.commands import command

DEV = "sandbox-dev"
SECRETS = ("PG_PASSWORD", "FILEMAKER_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")
CTRL_C, CTRL_D = "\x03", "\x04"


def at_a_terminal(arguments: list[str], answers: list[str]) -> tuple[int, str]:
    """Exit code, and what the terminal showed; an answer is typed once a question stands there."""
    pid, terminal = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "nexus_reimport.cli", "init", *arguments]
        os.execv(sys.executable, command)  # noqa: S606 - the child of a fork becomes the command
    shown, left = b"", list(answers)
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
        elif left and shown.endswith(b": "):
            answer = left.pop(0)
            os.write(terminal, (answer if answer in (CTRL_C, CTRL_D) else f"{answer}\n").encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


@pytest.fixture
def known(clinic: Clinic) -> dict[str, str]:
    """What a person knows: the settings of the clinic's dev, with its secrets."""
    place = environments.load(DEV)
    keys = (place.s3.access_key, place.s3.secret_key)
    access, secret = (key.get_secret_value() if key else "" for key in keys)
    password = place.filemaker.password
    return {
        "port": str(place.postgres.port),
        "database": place.postgres.database,
        "user": place.postgres.user,
        "PG_PASSWORD": place.postgres.password.get_secret_value(),
        "url": place.filemaker.url,
        "file": place.filemaker.database,
        "FILEMAKER_PASSWORD": password.get_secret_value() if password else "",
        "endpoint": place.s3.endpoint,
        "bucket": place.s3.bucket,
        "S3_ACCESS_KEY": access,
        "S3_SECRET_KEY": secret,
        "runs": str(place.folders.runs),
        "private": str(place.folders.private),
    }


def postgres(known: dict[str, str], database: str) -> list[str]:
    return ["127.0.0.1", known["port"], database, known["user"], known["PG_PASSWORD"]]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_what_a_person_answers_becomes_an_environment_that_doctor_finds_sound(
    clinic: Clinic, known: dict[str, str]
) -> None:
    answers = ["y", "production", "dev", "Mars/Base", "", ""]  # nonsense is asked again
    wrong = postgres(known, "nowhere")
    wrong[1:1] = ["99999", "\N{SUPERSCRIPT TWO}"]
    answers += [*wrong, "", "", "", known["database"], "", ""]
    # Of a folder that does not exist the questions are asked again, and a server answered instead.
    answers += ["paper", "exports", known["file"], "nowhere", "", ""]
    answers += ["data_api", known["url"], "", "", known["FILEMAKER_PASSWORD"]]
    answers += [known["endpoint"], known["bucket"], "us-east-1"]
    answers += [known["S3_ACCESS_KEY"], known["S3_SECRET_KEY"]]
    answers += [known["runs"], known["private"]]
    code, shown = at_a_terminal([DEV], answers)
    assert code == 0, shown
    shown = " ".join(shown.split())  # a terminal folds long lines
    for text in (
        "answer dev or prod",
        "no such time zone",
        "must be a number from 1 to 65535",
        "the server has no such database",
        "answer data_api or odata or exports",
        "the folder of the exported files does not exist",
        "tables can be read",
        "can be listed",
    ):
        assert text in shown
    path, hidden = clinic.folder / f"{DEV}.toml", clinic.folder / f".env.{DEV}"
    assert {stat.S_IMODE(p.stat().st_mode) for p in (path, hidden)} == {0o600}
    for name in SECRETS:
        assert known[name] not in path.read_text()
        assert known[name] not in shown
        assert f"NEXUS_SANDBOX_DEV_{name}={known[name]}\n" in hidden.read_text()
    found = doctor.examine(environments.load(DEV))
    assert found.is_sound, [f for f in found.findings if f.state is doctor.State.WRONG]


def test_ctrl_c_leaves_nothing_half_written(clinic: Clinic, known: dict[str, str]) -> None:
    before = files(clinic.folder)
    answers = ["dev", "", "", *postgres(known, known["database"]), "", known["url"], CTRL_C]
    code, shown = at_a_terminal(["new"], answers)
    assert code == 3
    assert "interrupted by SIGINT" in shown
    assert "state: no file was written" in shown
    assert files(clinic.folder) == before


@pytest.mark.parametrize("asked", [3, 4])  # who logs in, and the password
def test_ctrl_d_answers_no_question(clinic: Clinic, known: dict[str, str], asked: int) -> None:
    before = files(clinic.folder)
    answers = ["dev", "", "", *postgres(known, known["database"])[:asked], CTRL_D]
    code, shown = at_a_terminal(["new"], answers)
    assert code == 1, shown
    assert "a question was not answered" in shown
    assert "state: no file was written" in shown
    assert files(clinic.folder) == before


def test_an_environment_that_exists_is_overwritten_only_if_a_person_says_so(
    clinic: Clinic,
) -> None:
    before = files(clinic.folder)
    code, shown = at_a_terminal([DEV], [""])
    assert code == 1
    assert f"{DEV}.toml exists" in shown
    assert "state: it is unchanged" in shown
    assert files(clinic.folder) == before


ANSWERS = """
kind = "dev"
[postgres]
host = "127.0.0.1"
port = {port}
database = "{database}"
[filemaker]
url = "{url}"
database = "{file}"
[s3]
endpoint = "{endpoint}"
bucket = "{bucket}"
region = "us-east-1"
[folders]
runs = "{runs}"
private = "{private}"
"""


def test_a_script_gives_a_file_of_answers_and_exports_the_secrets(
    clinic: Clinic,
    known: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = tmp_path / "answers.toml"
    given.write_text(ANSWERS.format(**known))
    asked = ("init", "scripted", "--answers", str(given))
    code, _, told = command(capsys, *asked)
    assert (code, told.count("NEXUS_SCRIPTED_PG_PASSWORD is not set")) == (2, 1)
    for name in SECRETS:
        monkeypatch.setenv(f"NEXUS_SCRIPTED_{name}", known[name])
    code, out, told = command(capsys, *asked)
    assert code == 0, told
    assert str(clinic.folder / "scripted.toml") in out
    names = ", ".join(f"NEXUS_SCRIPTED_{name}" for name in SECRETS)
    assert f"not written: {names}; each terminal must export them" in out
    first = (clinic.folder / "scripted.toml").read_text().splitlines()[0]
    assert first.startswith("# The environment scripted, as nexus-reimport init scripted was told.")
    assert not (clinic.folder / ".env.scripted").exists(), "exported secrets stay where they are"
    found = environments.load("scripted").postgres.password.get_secret_value()
    assert found == known["PG_PASSWORD"]
    code, _, told = command(capsys, *asked)
    assert (code, "scripted.toml exists" in told) == (1, True)
    assert command(capsys, *asked, "--overwrite")[0] == 0
    given.write_text(ANSWERS.format(**{**known, "database": "nowhere"}))
    code, _, told = command(capsys, *asked, "--overwrite")
    assert (code, "no such database" in told) == (2, True)
    assert environments.load("scripted").postgres.database == known["database"]


def test_a_clinic_whose_server_nobody_may_ask_gives_a_folder_of_files(
    clinic: Clinic,
    known: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No address, account or password is asked for, and the file is ready for doctor."""
    exports.export(clinic.made_up.filemaker, clinic.folder.parent / "exports")
    for name in SECRETS:
        if name != "FILEMAKER_PASSWORD":
            monkeypatch.setenv(f"NEXUS_{template.variable(DEV)}_{name}", known[name])
    given = tmp_path / "answers.toml"
    text = ANSWERS.format(**known).replace(f'url = "{known["url"]}"\n', 'channel = "exports"\n')
    asked = ("init", DEV, "--answers", str(given), "--overwrite")
    given.write_text(text + '[filemaker.exports]\nfolder = "../nowhere"\n')
    code, _, told = command(capsys, *asked)
    assert (code, "the folder of the exported files does not exist" in told) == (2, True)
    given.write_text(text + '[filemaker.exports]\nfolder = "../exports"\n')
    code, _, told = command(capsys, *asked)
    assert code == 0, told
    assert "13 files; 13 tables can be read" in told
    place = environments.load(DEV).filemaker
    assert (place.channel, place.channels, place.url, place.password) == ("exports", {}, "", None)
    found = doctor.examine(environments.load(DEV))
    assert found.is_sound, [f for f in found.findings if f.state is doctor.State.WRONG]
    given.write_text(f'mapping = "clinic.toml"\n{given.read_text()}')
    code, _, told = command(capsys, *asked)
    assert code == 0, told
    assert "exported files; 13 files: Appointments.xlsx, Calendars.csv" in told


@pytest.mark.parametrize("line", ["pause = 0.2", "password = 'typed'", "databse = 'Clinic'"])
def test_an_answer_that_nobody_asks_for_is_told_and_not_passed_over(
    line: str,
    clinic: Clinic,
    known: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(f"NEXUS_ODD_{name}", known[name])
    given = tmp_path / "answers.toml"
    given.write_text(ANSWERS.format(**known).replace("[s3]", f"{line}\n[s3]"))
    before = files(clinic.folder)
    code, _, told = command(capsys, "init", "odd", "--answers", str(given))
    assert code == 2, told
    assert f"1 answer to no question: filemaker.{line.partition(' ')[0]}" in told
    assert "typed" not in told
    assert files(clinic.folder) == before


def test_a_mapping_of_ones_own_need_not_be_written_before(
    clinic: Clinic,
    known: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The layouts that it can read are named; nothing of the shipped mapping is asked for."""
    for name in SECRETS:
        monkeypatch.setenv(f"NEXUS_OTHER_{name}", known[name])
    given = tmp_path / "answers.toml"
    given.write_text('mapping = "clinic.toml"\n' + ANSWERS.format(**known))
    code, out, told = command(capsys, "init", "other", "--answers", str(given))
    assert code == 0, told
    assert "layouts: " in told
    assert "API_Contacts" in told
    assert f"next: write {clinic.folder / 'clinic.toml'} (docs/mapping.md), then" in out
    made = environments.load("other")
    assert (made.mapping, made.filemaker.channels) == ("clinic.toml", {})
    assert made.s3.prefixes == ("",), "of another clinic nobody knows how the keys begin"


def test_a_folder_that_does_not_exist_is_told_before_the_first_question(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    code, shown = at_a_terminal(["new"], [CTRL_D])
    assert code == 2, shown
    assert "the folder of the environments' files does not exist" in shown
    assert "Is it a dev" not in shown
    with pytest.raises(SettingsError, match="nowhere, which does not exist"):
        environments.load("new")


def test_without_a_terminal_it_says_how_a_script_answers(
    capsys: pytest.CaptureFixture[str], clinic: Clinic
) -> None:
    code, _, told = command(capsys, "init", "new")
    assert code == 2
    assert "--answers FILE" in told
