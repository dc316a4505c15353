"""Kinds of corruption are put into a copy, one at a time, and the verification finds each."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from nexus_reimport import checks, saboteur, show
from nexus_reimport.checks import after
from nexus_reimport.cli import main
from nexus_reimport.errors import StopError
from nexus_reimport.model import SelfTest
from nexus_reimport.saboteur import Kind
from nexus_reimport.saboteur.scene import Scene
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import altered
from support.clinic import ROLE, Clinic, Clinics, as_tested, copies, planned
from support.second_clinic import Second


def nothing(scene: Scene) -> int:
    assert scene.people.primary_key
    return 0


def unseen(scene: Scene) -> int:
    return scene.count(scene.people)


# A few of each sort, one that finds nothing, and one that nobody can see.
SOME = (
    "a_text_has_a_blank_at_its_end",
    "a_time_is_off_by_an_hour",
    "a_json_number_got_a_fraction",
    "a_note_is_fabricated",
    "two_patients_have_each_others_document",
    "a_column_of_a_wiped_table_is_dropped",
    "a_sequence_is_set_back",
    "a_patient_was_taken_for_one_of_nexus_alone",
    "a_file_is_hidden",
)
CHOSEN = (
    *(saboteur.KINDS[name] for name in SOME),
    Kind("nothing_here", "Nothing is there.", "nothing", nothing),
    Kind("unseen", "Nothing is changed.", "nothing", unseen),
)


OF_NO_COPY = {after.application.the_application_shows_what_the_database_holds.__name__}  # its API


@pytest.fixture(scope="module")
def matrix(clinics: Clinics, rehearsed: Path, tmp_path_factory: pytest.TempPathFactory) -> SelfTest:
    """Every kind against the verification, on the state of the session's rehearsed run."""
    with clinics.opened(tmp_path_factory.mktemp("matrix")) as found:
        return found.approved(rehearsed).sabotaged()


@pytest.mark.timeout(900)
def test_every_kind_of_corruption_is_found_in_the_made_up_clinic(matrix: SelfTest) -> None:
    assert [(t.kind, t.noted_by, t.crashed) for t in matrix.missed] == []
    assert [(t.kind, t.refused) for t in matrix.not_possible] == []
    assert {t.kind for t in matrix.trials} == set(saboteur.KINDS)
    assert matrix.is_complete


def test_each_check_is_needed_by_a_kind_that_no_other_one_finds(matrix: SelfTest) -> None:
    alone = {t.caught_by[0] for t in matrix.trials if len(t.caught_by) == 1}
    assert set(matrix.checks) - alone == OF_NO_COPY
    assert set(matrix.checks) == {c.name for c in checks.of_stage(after.After)}


@pytest.mark.timeout(900)
def test_to_read_and_to_ask_everything_again_gives_the_same_table(
    clinic: Clinic, rehearsed: Path, matrix: SelfTest
) -> None:
    chosen = tuple(saboteur.KINDS.values())[::8]
    found = clinic.approved(rehearsed).sabotaged(chosen, spared=False)
    spared = {t.kind: t for t in matrix.trials}
    assert [t for t in found.trials if t != spared[t.kind]] == []
    assert len(found.trials) == len(chosen)


@pytest.mark.timeout(900)
def test_a_part_of_a_clinic_shows_what_the_whole_of_it_shows(
    clinic: Clinic, rehearsed: Path, matrix: SelfTest
) -> None:
    chosen = tuple(saboteur.KINDS.values())[::6]
    found = clinic.approved(rehearsed).sabotaged(chosen, patients=20)
    whole = {t.kind: t for t in matrix.trials}
    assert [(t.kind, t.noted_by, t.crashed, t.refused) for t in found.missed] == []
    assert len(found.caught) > 0.9 * len(chosen)
    assert [t.kind for t in found.caught if not {*t.caught_by} & {*whole[t.kind].caught_by}] == []
    assert re.fullmatch(r"20 of [0-9]{2,3} patients", found.part)
    assert found.part in repr(show.self_test(found))


def test_what_is_put_in_is_found_by_name_and_taken_out_again(
    clinic: Clinic, rehearsed: Path
) -> None:
    before, book = clinic.state(), clinic.approved(rehearsed)
    files = sorted(path.name for path in book.folder.iterdir())
    found = book.sabotaged(CHOSEN)
    assert [t.kind for t in found.trials] == [*SOME, "nothing_here", "unseen"]
    assert [t.kind for t in found.caught] == list(SOME)
    assert [t.kind for t in found.missed] == ["unseen"]
    assert [t.kind for t in found.not_possible] == ["nothing_here"]
    assert not found.is_complete
    fates = {t.kind: t.caught_by for t in found.trials}
    assert fates["a_file_is_hidden"] == ("no_file_was_lost",)
    assert fates["a_sequence_is_set_back"] == ("no_sequence_was_set_back",)
    assert clinic.state() == before
    assert sorted(path.name for path in book.folder.iterdir()) == files
    assert not copies(clinic.server)
    page = repr(show.self_test(found))
    assert "9 caught, 1 missed, 1 not possible here" in page
    assert re.search(r"no_file_was_lost +1 +1", page)
    assert page.index("MISSED") < page.index("By what was corrupted") < page.index("By check")
    assert f"[Each kind that was caught: {len(SOME)} rows, in the page and in the record]" in page
    words = show.self_test(found).frames["Each kind that was caught"]["kind"]
    assert list(words) == list(SOME)


def test_a_kind_that_leaves_something_behind_stops_the_test(
    clinic: Clinic, rehearsed: Path
) -> None:
    def left_behind(scene: Scene) -> int:
        place = scene.connection.info
        there = {"host": place.host, "port": place.port, "dbname": place.dbname}
        who = {"user": place.user, "password": place.password}
        with psycopg.connect(**there, **who) as another:
            return another.execute("DELETE FROM letters_patientletter").rowcount

    kind = Kind("left_behind", "Rows are gone for good.", "the copy", left_behind)
    with pytest.raises(StopError, match="a kind of corruption was not undone on the copy"):
        clinic.approved(rehearsed).sabotaged((kind,))


def test_an_interrupt_is_not_hidden_by_the_session_that_is_lost_with_it(
    clinic: Clinic, rehearsed: Path
) -> None:
    def interrupted(scene: Scene) -> int:
        with suppress(psycopg.OperationalError):
            scene.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        raise KeyboardInterrupt

    kind = Kind("interrupted", "Somebody stops the test.", "nothing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clinic.approved(rehearsed).sabotaged((kind,))
    assert not copies(clinic.server)


def test_prod_relies_on_a_dev_run_only_if_its_verification_has_found_every_kind(
    clinic: Clinic,
) -> None:
    clinic.add_prod()
    book = clinic.proposed()
    as_tested(book)
    whole = book.run.load(SelfTest)
    missed = replace(whole.trials[0], caught_by=())
    book.run.save(replace(whole, trials=(missed, *whole.trials[1:])))
    book.approve(rehearsed=True)
    book.apply()
    book.verify()
    book.sign_off()
    book.seal()
    prod = clinic.preflight("sandbox-prod")
    (refusal,) = prod.outlook().refusals
    assert refusal.what == f"sandbox-dev: its verification missed {missed.kind} ({book.run.id})"
    assert "nexus-reimport verify --self-test sandbox-dev" in refusal.next
    with pytest.raises(StopError, match="its verification missed"):
        prod.approve(rehearsed=True)
    assert prod.self_test().missed == (missed,), "prod shows the table of the run it relies on"


def test_where_no_copy_can_be_made_it_says_so_and_leaves_with_1(
    no_createdb: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    found = planned().sabotaged()
    assert (found.trials, found.is_complete) == ((), False)
    assert found.why_not == f"the role may not create databases (ALTER ROLE {ROLE} CREATEDB;)"
    assert "NOT TESTED" in repr(show.self_test(found))
    with pytest.raises(SystemExit) as left:
        main(["verify", "--self-test", "sandbox-dev", "--json"])
    assert left.value.code == 1
    assert json.loads(capsys.readouterr().out)["why_not"]


@pytest.mark.timeout(900)
def test_the_kinds_know_no_installation_by_its_names(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    with altered(postgres, s3, tmp_path / "second") as second:
        book, _ = second.checked()
        found = book.sabotaged()
    assert [(t.kind, t.noted_by, t.crashed) for t in found.missed] == []
    assert len(found.caught) > 150
    refused = [t.kind for t in found.not_possible if t.refused]
    assert refused == []


@pytest.mark.parametrize("owners", [("P1", "P2"), ("P8", "P9")], ids=["known", "unknown"])
def test_a_document_whose_patient_filemaker_does_not_name_shows_nothing_of_a_wrong_plan(
    over_the_data_api: Second, owners: tuple[str, str]
) -> None:
    """Of two links that the run leaves alone: nobody could say that they were exchanged."""
    second = over_the_data_api
    few, more = "{ not_in_nexus = 0.1 }", "{ not_in_nexus = 0.1, owner_not_loaded = 1.0 }"
    second.edit("second_installation.toml", few, more)
    second.connection.execute("UPDATE practice.document SET patient_id = 2 WHERE scan_no = 'S2'")
    with second.simulator.edit() as tables:
        for record, owner in zip(tables["Scans"].records, owners, strict=False):
            record.values["Person"] = owner
    book, _ = second.checked()
    kind = saboteur.KINDS["a_document_was_planned_under_another_patient"]
    (trial,) = book.sabotaged((kind,)).trials
    assert (trial.was_possible, trial.is_missed) == (owners == ("P1", "P2"), False)


def test_a_row_that_stays_is_not_taken_for_a_record_of_filemaker(
    over_the_data_api: Second,
) -> None:
    """It carries an id that FileMaker has no more, and a visit that was loaded has its number."""
    second = over_the_data_api
    second.connection.execute(
        "UPDATE practice.person SET legacy_no = 'P0' WHERE id = 1;"
        "UPDATE practice.visit SET person_id = 2 WHERE id = 3"
    )
    book, _ = second.checked()
    names = (
        "a_patient_was_taken_for_one_of_nexus_alone",
        "a_patient_of_nexus_alone_was_never_planned",
        "a_kept_row_is_lost",
    )
    trials = book.sabotaged(tuple(saboteur.KINDS[name] for name in names)).trials
    assert [(t.changed, t.is_missed) for t in trials] == [(1, False)] * 3


# What a kind may meet first and must pass by: columns that move by themselves, an appointment of
# nobody, a new row, an object that no row names, a file's only link of another patient.
PASSED_BY = """
CREATE TABLE practice.device (
    id integer PRIMARY KEY, token text, label text, seen timestamptz, made timestamptz,
    hits integer, weight integer, ready boolean, usable boolean, shared boolean);
INSERT INTO practice.device VALUES
    (1, 't', 'scale', now(), now(), 7, 3, true, true, false),
    (2, 'u', 'lamp', now(), now(), 8, 4, true, false, false);
GRANT SELECT ON practice.device TO nexus_reimport;
ALTER TABLE practice.visit ALTER person_id DROP NOT NULL, ALTER room SET DEFAULT 'new';
UPDATE practice.visit SET id = id + 4, ends = starts + interval '1 hour';
INSERT INTO practice.visit VALUES (1, NULL, '2025-08-01', '2025-08-02', 'nobody', NULL);
SELECT setval(pg_get_serial_sequence('practice.visit', 'id'), 9);
"""
PROTECTED, CALENDAR = "protected_tables_are_as_they_were", "the_calendar_shows_every_appointment"
MEANT = {
    "a_configuration_row_is_changed": PROTECTED,
    "a_configuration_row_has_another_date": PROTECTED,
    "a_configuration_row_has_another_number": PROTECTED,
    "a_configuration_row_has_a_flag_turned": PROTECTED,
    "a_configuration_row_and_another_are_swapped": PROTECTED,
    "two_configuration_changes_cancel": PROTECTED,
    "somebody_has_more_rights": PROTECTED,
    "an_appointment_was_planned_without_an_end": CALENDAR,
    "a_carried_value_was_planned_away": "what_only_nexus_knows_was_carried_over",
    "the_end_of_the_list_is_lost": "no_file_was_lost",
}

MORE_MEANT = {
    "a_configuration_row_is_there_twice": PROTECTED,
    "an_appointment_has_no_end": CALENDAR,
    "a_clinician_is_lost": "every_appointment_has_a_clinician",
    "a_row_is_of_no_clinic": "every_patient_has_a_clinic",
    "a_carried_key_is_lost": "what_only_nexus_knows_was_carried_over",
    "two_patients_have_each_others_document": "every_document_hangs_on_its_patient",
    "two_patients_have_each_others_image": "every_image_hangs_on_its_patient",
}


def test_a_kind_is_found_by_the_check_that_it_is_meant_for(matrix: SelfTest) -> None:
    caught = {t.kind: t.caught_by for t in matrix.trials}
    meant = MEANT | MORE_MEANT
    assert [kind for kind, check in meant.items() if check not in caught[kind]] == []


def test_no_kind_is_missed_for_what_it_meets_first(over_the_data_api: Second, s3: S3Server) -> None:
    second = over_the_data_api
    s3.access.fill("second-installation", [StoredObject("uploads/9.pdf", b"of no row")])
    columns = '["token", "seen", "hits", "ready"]'
    application = "[application]"
    volatile = f"[volatile]\ndevice = {columns}\n\n{application}"
    second.edit("second_installation.toml", application, volatile)
    second.connection.execute(PASSED_BY)
    book, _ = second.checked()
    trials = book.sabotaged(tuple(saboteur.KINDS[name] for name in MEANT)).trials
    assert [t.kind for t in trials if MEANT[t.kind] not in t.caught_by] == []


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("every_link_is_shifted", "SELECT patient_id, count(*) FROM practice.document GROUP BY 1"),
        ("every_time_is_off_by_an_hour", "SELECT id, ends - starts FROM practice.visit"),
    ],
)
def test_a_kind_keeps_what_it_says_that_it_keeps(
    over_the_data_api: Second, name: str, query: LiteralString
) -> None:
    def corrupt(scene: Scene) -> int:
        was = set(scene.rows(sql.SQL(query)))
        done = saboteur.KINDS[name].corrupt(scene)
        assert set(scene.rows(sql.SQL(query))) == was
        return done

    book, _ = over_the_data_api.checked()
    (trial,) = book.sabotaged((replace(saboteur.KINDS[name], corrupt=corrupt),)).trials
    assert trial.caught_by


def test_a_copy_that_does_not_pass_as_it_is_shows_nothing_of_any_kind(
    over_the_data_api: Second,
) -> None:
    second = over_the_data_api
    second.connection.execute("UPDATE practice.person SET site_id = NULL")
    with second.simulator.edit() as tables:
        for record in tables["People"].records:
            record.values["Site"] = ""
    book, _ = second.checked()
    with pytest.raises(StopError, match="the copy does not pass verification as it is") as stopped:
        book.sabotaged((CHOSEN[-1],))
    assert "every_patient_has_a_clinic: " in str(stopped.value)
    assert not copies(second.server)


def test_verify_alone_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["verify", "sandbox-dev"])
    assert "nexus-reimport verify --self-test sandbox-dev" in capsys.readouterr().err


def test_each_kind_has_a_name_of_its_own_and_a_sentence() -> None:
    assert len(saboteur.KINDS) > 300
    for kind in saboteur.KINDS.values():
        assert re.fullmatch(r"[a-z0-9_]+", kind.name)
        assert re.fullmatch(r"[A-Z].*\.", kind.meaning), kind.name
