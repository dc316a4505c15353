"""The examination of an environment: all that a run needs, and how to fix what is not right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from nexus_reimport import PACKAGE, runbook, show
from nexus_reimport import settings as environments
from nexus_reimport.runbook import connections, doctor
from nexus_reimport.runbook.doctor import Finding, State
from nexus_reimport.settings import ApplicationAccess
from nexus_reimport.settings.values import FromEnvironment
from nexus_sandbox.filemaker import exports
from nexus_sandbox.nexus_api.api import NexusApi
from support.channels import EXPORTS, read_by
from support.clinic import ROLE, Clinic, no_copies
from support.poolers import distant, listening

DEV = "sandbox-dev"


def examined() -> doctor.Examination:
    return doctor.examine(environments.load(DEV))


def wrong(found: doctor.Examination) -> list[Finding]:
    return [f for f in found.findings if f.state is State.WRONG]


def test_a_sound_environment_has_nothing_to_fix_and_nothing_is_written(clinic: Clinic) -> None:
    before = clinic.state()
    found = examined()
    assert wrong(found) == []
    assert found.is_sound
    shown = show.examination(found)
    for said in (
        "compare it with a clock in the clinic",
        "pg_dump and pg_restore",
        "every right that a run and a rollback need",
        "every table and column that the mapping names",
        f"adopted as {DEV}",
        "13 tables can be read, and have every field that the mapping needs",
        "it can be listed",
        "its objects can be read",
        f"{DEV}: a run finds all that it needs",
    ):
        assert said in shown, said
    assert not (clinic.folder.parent / "runs").exists()
    assert clinic.state() == before
    assert runbook.begin(DEV)


@contextmanager
def far_away(clinic: Clinic, seconds: float) -> Iterator[list[int]]:
    """The database as one whose answers take so long; gives what it was asked."""
    asked: list[int] = []
    secrets = clinic.folder / f".env.{DEV}"
    text, ours = secrets.read_text(), f"NEXUS_SANDBOX_PG_PORT={clinic.server.port}"
    assert ours in text
    with listening(distant(clinic.server.port, seconds, asked)) as port:
        secrets.write_text(text.replace(ours, f"NEXUS_SANDBOX_PG_PORT={port}"))
        yield asked
        secrets.write_text(text)


def test_a_database_far_away_is_told_with_what_it_costs(clinic: Clinic) -> None:
    near = [f for f in examined().findings if f.text.startswith("PostgreSQL answers in ")]
    with far_away(clinic, 0.02):
        (far,) = [f for f in examined().findings if f.text.startswith("PostgreSQL answers in ")]
    assert [f.next for f in near] in ([""], [far.next])  # on a busy machine it is far, too
    assert far.state is State.REMARK
    assert far.next == "run it on a machine near the database"
    waits = re.search(r" in ([\d.]+) ms: .*about (\d+) s longer.* wait ([\d.]+) s", far.text)
    assert waits is not None
    answer, run, writers = map(float, waits.groups())
    assert answer >= 20
    assert run >= 50
    assert writers >= 0.9


def test_a_run_asks_about_as_often_as_the_examination_says(clinic: Clinic) -> None:
    with far_away(clinic, 0) as asked:
        clinic.whole()
    assert doctor.ASKED_BY_A_RUN / 2 < len(asked) < 1.2 * doctor.ASKED_BY_A_RUN


@pytest.mark.parametrize(
    ("mode", "folder", "state", "text"),
    [
        (0o700, "exports", State.RIGHT, "the exported files: "),
        (0o755, "exports", State.REMARK, "other users of this machine can read the exported files"),
        (0o700, "Dropbox", State.REMARK, "Dropbox copies elsewhere the exported files"),
    ],
)
def test_the_folder_of_exported_files_is_looked_at_as_patients_data(
    mode: int, folder: str, state: State, text: str, clinic: Clinic
) -> None:
    """A person has made it, as the system makes a folder: readable by everybody."""
    place = clinic.folder.parent / folder
    exports.export(clinic.made_up.filemaker, place)
    place.chmod(mode)
    read_by(clinic, 'channel = "exports"', EXPORTS.replace("../exports", f"../{folder}"))
    found = examined()
    assert wrong(found) == []
    (finding,) = (f for f in found.findings if "the exported files" in f.text)
    assert (finding.state, finding.text.startswith(text)) == (state, True)


def revoked(clinic: Clinic) -> None:
    clinic.do(f"REVOKE INSERT, DELETE ON patients FROM {ROLE}")


def not_adopted(clinic: Clinic) -> None:
    clinic.do("DROP SCHEMA nexus_reimport CASCADE", role=ROLE)
    clinic.grant()


def wrong_password(clinic: Clinic) -> None:
    path = clinic.folder / f".env.{DEV}"
    path.write_text(path.read_text().replace("FILEMAKER_PASSWORD=", "FILEMAKER_PASSWORD=not-"))


def other_column(clinic: Clinic) -> None:
    text = (PACKAGE / "mappings" / "nexus.toml").read_text()
    (clinic.folder / "own.toml").write_text(text.replace("\nfirst_name = {", "\nfirstname = {"))
    clinic.edit(DEV, 'mapping = "nexus"', 'mapping = "own.toml"')


CASES: dict[str, tuple[Callable[[Clinic], None], str, str, str]] = {
    "a right was revoked": (
        revoked,
        "PostgreSQL",
        "a right is missing: INSERT, DELETE on table public.patients",
        "GRANT INSERT, DELETE ON TABLE public.patients TO",
    ),
    "not adopted": (not_adopted, "PostgreSQL", "has not been adopted", "nexus-reimport adopt"),
    "wrong password of FileMaker": (
        wrong_password,
        "FileMaker",
        "account or password is wrong",
        "correct [filemaker] user",
    ),
    "a column that Nexus does not have": (
        other_column,
        "PostgreSQL",
        "patients: no column firstname; did you mean first_name?",
        "correct the mapping",
    ),
    "no such bucket": (
        lambda clinic: clinic.edit(DEV, 'bucket = "', 'bucket = "no-such-'),
        "S3",
        "S3 refused to list the bucket",
        '"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::no-such-',
    ),
    "no such database": (
        lambda clinic: clinic.edit(DEV, 'database = "nexus_', 'database = "no_such_'),
        "PostgreSQL",
        "the server has no such database",
        "check [postgres] database in the environment's file",
    ),
    "no such file in FileMaker": (
        lambda clinic: clinic.edit(DEV, 'database = "WalkClinic"', 'database = "NoSuchFile"'),
        "FileMaker",
        "FileMaker refused with code 802: the file cannot be opened",
        "check the database's name, and that the server has it open",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named_with_how_to_fix_it_and_hides_nothing_else(
    clinic: Clinic, name: str
) -> None:
    breaks, area, what, fix = CASES[name]
    breaks(clinic)
    found = examined()
    assert not found.is_sound
    assert {f.area for f in wrong(found)} == {area}
    assert any(what in f.text and fix in f.next and f.next for f in wrong(found)), wrong(found)
    others = {f.area for f in found.findings if f.state is State.RIGHT}
    assert others >= {"this machine", "PostgreSQL", "FileMaker", "S3"} - {area}


def test_a_waiver_that_can_never_apply_or_has_ended_is_told_before_a_run(clinic: Clinic) -> None:
    path = clinic.folder / f"{DEV}.toml"
    text = path.read_text()
    last = 'until = "2099-12-31"'
    path.write_text(text.replace(last, 'until = "2026-01-31"', 1))
    found = examined()
    assert found.is_sound
    (ended,) = (f for f in found.findings if f.area == "the environment's file")
    assert ended.text == "1 waiver has ended: every_planned_patient_has_a_clinic (until 2026-01-31)"
    path.write_text(text.replace('check = "every_patient_has', 'check = "every_pateint_has', 1))
    (slipped,) = wrong(examined())
    assert "every_pateint_has_a_clinic: no check has this name; did you mean every_" in slipped.text


def test_a_command_that_is_not_there_and_a_window_that_is_over_are_told_before_the_night(
    clinic: Clinic,
) -> None:
    """The paper's own lines, pasted and not adapted, were all right until the window opened."""
    with (clinic.folder / f"{DEV}.toml").open("a") as file:
        file.write(
            '[hooks]\nenter = ["/nowhere/up"]\nleave = ["rm", "-f", "up"]\n'
            'told = ["/nowhere/mail"]\n'
            "[window]\nfrom = 2026-03-07T22:00:00\nto = 2026-03-08T02:00:00\n"
        )
    found = examined()
    (missing,) = wrong(found)
    assert missing.text.startswith("[hooks] enter: /nowhere/up is not on this machine")
    remarks = [f.text for f in found.findings if f.state is State.REMARK]
    assert any(text.startswith("[hooks] told: /nowhere/mail") for text in remarks)
    assert any("[window] is over: 2026-03-07 22:00" in text for text in remarks)


def test_a_right_that_only_a_restore_needs_is_a_remark(no_createdb: Clinic) -> None:
    assert no_createdb
    found = examined()
    assert wrong(found) == []
    remarks = [f for f in found.findings if f.text.startswith("not granted")]
    assert [f.next for f in remarks] == [f"ALTER ROLE {ROLE} CREATEDB;"]
    (told,) = [f.text for f in remarks]
    assert "does not prove the backup" in told
    assert told.endswith("and nexus-reimport restore stops")


def test_remarks_on_rights_are_shown_also_before_the_database_is_adopted(clinic: Clinic) -> None:
    not_adopted(clinic)
    with no_copies(clinic.server):  # after that: it grants every right
        found = examined()
    (left,) = wrong(found)
    assert "has not been adopted" in left.text
    remarks = [f.next for f in found.findings if f.text.startswith("not granted")]
    assert remarks == [f"ALTER ROLE {ROLE} CREATEDB;"]


def test_a_field_that_is_not_on_its_layout_is_named_before_a_run(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        for name, table in tables.items():
            fields = tuple(f for f in table.fields if f.name != "nameLast")
            tables[name] = replace(table, fields=fields)
    (found,) = wrong(examined())
    assert found.area == "FileMaker"
    assert "no field nameLast" in found.text


def test_a_file_that_is_closed_is_told_once_for_each_channel(clinic: Clinic) -> None:
    """The server answers, and each of thirteen tables is refused for the same reason."""
    clinic.edit(DEV, 'database = "WalkClinic"', 'database = "NoSuchFile"')
    refused = wrong(examined())
    assert ["channel=odata" in f.text for f in refused] == [False, True]
    assert all("cannot be opened: 1 try (" in f.text for f in refused)
    seen = connections.read(environments.load(DEV))
    assert [one.is_connected for one in seen.filemaker] == [False, False]
    assert not any(table.error for table in seen.tables)


def test_a_refused_login_is_tried_once_for_all_tables_and_channels(clinic: Clinic) -> None:
    """FileMaker locks an account after a few: the tables were asked one by one."""
    wrong_password(clinic)
    clinic.simulator.requests.clear()
    (refused,) = wrong(examined())
    assert "code 212" in refused.text
    asked = clinic.simulator.requests.items()
    assert sum(often for (_, path), often in asked if path.endswith("/sessions")) == 1
    assert not any("/odata" in path for _, path in clinic.simulator.requests)


def test_the_login_to_nexus_api_is_tried_before_a_run(clinic: Clinic) -> None:
    """Verification asks it after COMMIT: too late to learn that a password is wrong."""
    password = "a made-up password of the API"
    with NexusApi(clinic.server.dsn(clinic.databases["dev"]), password=password) as api:
        for typed, is_right in ((password, True), ("another", False)):
            given = {"url": api.url, "user": api.user, "password": FromEnvironment(typed)}
            place = ApplicationAccess.model_validate(given)
            settings = environments.load(DEV).model_copy(update={"application": place})
            found = doctor.examine(settings)
            (login,) = (f for f in found.findings if f.area == "Nexus's API")
            assert (found.is_sound, login.state is State.RIGHT) == (is_right, is_right)
            text = "is let in" if is_right else "did not let the account in"
            assert text in login.text
            assert "03_verify" not in login.next
