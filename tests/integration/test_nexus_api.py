"""Nexus's own HTTP API is asked what the checks ask of the tables, over HTTP, of a stand-in."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
import requests

from nexus_reimport import application, runbook
from nexus_reimport.application import client
from nexus_reimport.checks.after import application as checks_of_it
from nexus_reimport.errors import ApplicationError
from nexus_reimport.model import Report, Result
from nexus_reimport.nexus.reading.questions import ACTIVE, ARCHIVED
from nexus_reimport.responses import Session
from nexus_reimport.runbook.opening import today
from nexus_reimport.settings import ApplicationAccess
from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.stages import verify
from nexus_sandbox.nexus_api.api import NexusApi
from support.answering import answering
from support.clinic import Clinic

PASSWORD = "a made-up password of the API"
CHECK = "the_application_shows_what_the_database_holds"


@pytest.fixture
def api(clinic: Clinic) -> Iterator[NexusApi]:
    """The stand-in, over this test's clinic."""
    with NexusApi(clinic.server.dsn(clinic.databases["dev"]), password=PASSWORD) as served:
        yield served


def access(api: NexusApi, **more: object) -> ApplicationAccess:
    given: dict[str, object] = {
        "url": api.url,
        "user": api.user,
        "password": FromEnvironment(api.password),
        "sample": 3,
    }
    return ApplicationAccess.model_validate(given | more)


@pytest.fixture
def done(clinic: Clinic, api: NexusApi) -> tuple[Clinic, runbook.Runbook]:
    """A clinic after a whole run, whose environment names the API."""
    book = clinic.executed()
    settings = book.settings.model_copy(update={"application": access(api)})
    return clinic, replace(book, settings=settings)


def result(book: runbook.Runbook) -> Result:
    expected = book.expected()
    storage = verify.Storage.untouched(expected.census, expected.sample)
    report: Report = verify.run(book.settings, expected, storage, today=today(book.settings))
    return next(r for r in report.results if r.check == CHECK)


def test_the_api_shows_what_the_database_holds_and_the_report_says_that_it_was_asked(
    done: tuple[Clinic, runbook.Runbook], api: NexusApi
) -> None:
    clinic, book = done
    found = result(book)
    patients = clinic.value("SELECT count(*) FROM patients")
    events = clinic.value("SELECT count(*) FROM appointments")
    assert found.passed
    assert f"asked: {patients:,} patients, {events:,} appointments, " in found.note
    asked = {
        path.partition("?")[0].rpartition("/batches/")[0] or path.partition("?")[0]
        for path in api.asked
    }
    assert {"/api/patients/", "/api/appointments/calendar_data/", "/api/documents/"} <= asked
    assert any("search=" in path for path in api.asked)
    assert any("/api/images/batches/?patient_id=" in path for path in api.asked)


# what the application shows otherwise than the database that was asked -> what is said
WRONG: dict[str, tuple[str, str]] = {
    "a patient is not in the list": (
        "UPDATE patients SET archived = NOT archived WHERE id = (SELECT min(id::text)::uuid FROM"
        " patients WHERE NOT archived)",
        "not archived patients: 1 are not shown",
    ),
    "a patient is in another clinic": (
        "UPDATE patients SET clinic_id = (SELECT max(id::text)::uuid FROM clinics WHERE id <>"
        " clinic_id) WHERE id = (SELECT min(id::text)::uuid FROM patients WHERE NOT archived AND"
        " clinic_id IS NOT NULL)",
        "patients are shown",
    ),
    "an appointment is an hour later": (
        "UPDATE appointments SET start_time = start_time + interval '1 hour' WHERE id ="
        " (SELECT min(id::text)::uuid FROM appointments)",
        "appointments in the calendar: 1 are",
    ),
    "an appointment is not in the calendar": (
        "SET session_replication_role = replica; DELETE FROM appointments WHERE id ="
        " (SELECT min(id::text)::uuid FROM appointments)",
        "appointments in the calendar: 1 are",
    ),
    "documents are not shown": ("UPDATE documents_document SET is_active = false", "documents of"),
    "images are not shown": (
        "SET session_replication_role = replica; UPDATE images_batch SET content_type_id = 1",
        "images of patient",
    ),
    "nobody is found": (
        "UPDATE patients SET last_name = 'x', first_name = 'x'",
        "patients found by their names",
    ),
    "the calendar fails": (
        "UPDATE appointments SET end_time = NULL",
        "calendar_data/: look at Nexus's log",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_api_does_not_show_as_the_database_has_it_is_found(
    clinic: Clinic, done: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    _, book = done
    statement, said = WRONG[name]
    other = f"{clinic.databases['dev']}_shown"
    clinic.server.create_database(other, template=clinic.databases["dev"])
    with (
        NexusApi(clinic.server.dsn(other), password=PASSWORD) as elsewhere,
        psycopg.connect(clinic.server.dsn(other), autocommit=True) as connection,
    ):
        connection.execute(statement)
        settings = book.settings.model_copy(update={"application": access(elsewhere)})
        found = result(replace(book, settings=settings))
    clinic.server.drop_database(other)
    assert found.blocks
    assert said in " ".join(found.sample)


def test_without_the_api_the_same_queries_are_asked_and_the_report_says_so(
    clinic: Clinic,
) -> None:
    book = clinic.executed()
    found = result(book)
    assert found.passed
    assert found.note == checks_of_it._NOT_ASKED


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"password": FromEnvironment("wrong")}, "did not let the account in"),
        ({"login": "/nowhere/"}, "has no form to log in (HTTP 403)"),
        ({"url": "http://127.0.0.1:1"}, "could not be reached"),
    ],
)
def test_an_api_that_cannot_be_asked_stops_the_run_and_says_why(
    done: tuple[Clinic, runbook.Runbook], api: NexusApi, more: dict[str, object], said: str
) -> None:
    _, book = done
    settings = book.settings.model_copy(update={"application": access(api, **more)})
    found = result(replace(book, settings=settings))
    assert found.blocks
    assert said in found.sample[0]
    assert PASSWORD not in str(found)


ANSWERS = {
    b"": "could not be reached",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<html>": "broke off in the middle of its answer",
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>": "has no form to log in that is Django's",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_another_service_at_its_address_is_told_and_gets_no_password(answer: bytes) -> None:
    with answering(answer) as (url, asked):
        place = ApplicationAccess.model_validate(
            {"url": url, "user": "u", "password": FromEnvironment(PASSWORD)}
        )
        with pytest.raises(ApplicationError) as told:
            application.opened(place).__enter__()
    assert told.value.what == f"Nexus's API {ANSWERS[answer]}"
    assert told.value.exit_code == 3
    assert {words[:4] for words in asked} == {b"GET "}


NO_LISTS = {
    "nested too deep": '{"count": 1, "results": ' + "[" * 100_000,
    "rows that are no objects": '{"count": 1, "results": ["a"]}',
    "no rows": '{"count": 1, "results": {"id": 1}}',
    "no number": '{"count": "1", "results": [{"id": 1}]}',
    "true": '{"count": true, "results": [{"id": 1}]}',
    "one page for ever": '{"count": 2, "next": "/?page=2", "results": [{"id": 1}]}',
    "no JSON": '{"count": 1, "results": [{"id": 1}]',
}


def alone(url: str) -> application.Api:
    """The API at an address, without a login."""
    place = ApplicationAccess.model_validate(
        {"url": url, "user": "u", "password": FromEnvironment(PASSWORD)}
    )
    return application.Api(place, Session(client._WHOLE))


def answered(body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("name", NO_LISTS)
def test_an_answer_that_is_no_list_is_told_in_a_few_questions(name: str) -> None:
    """One page for ever was asked for 100,000 times; of the others some ended in a traceback."""
    with answering(answered(NO_LISTS[name].encode())) as (url, asked):
        with pytest.raises(ApplicationError):
            list(alone(url).every("/api/patients/"))
        assert len(asked) <= 3


def test_an_answer_of_the_api_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_WHOLE", 0.3)
    monkeypatch.setattr(client, "_LARGEST", 1 << 20)
    bomb, encoded = gzip.compress(bytes(3 << 20)), "Content-Encoding: gzip\r\n"
    sent = {
        "took too long to answer": (answered(b" " * 200), 0.02),
        "sent an answer of more than 1,024 MiB": (answered(bomb, encoded), 0.0),
        "sent an answer that cannot be decompressed": (answered(b"no gzip", encoded), 0.0),
    }
    for what, (answer, pause) in sent.items():
        with (
            answering(answer, pause=pause) as (url, _),
            pytest.raises(ApplicationError, match=f"Nexus's API {what}"),
        ):
            alone(url).get("/api/patients/")


@pytest.mark.parametrize("address", [b"http://u:p@[::", b"\xff\xfe"])
def test_a_redirect_to_no_address_is_told_by_its_status(address: bytes) -> None:
    sent = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % address
    with (
        answering(sent) as (url, _),
        pytest.raises(ApplicationError, match="answered with HTTP 302"),
    ):
        alone(url).get("/api/patients/")


def test_the_stand_in_asks_for_a_session_as_nexus_does(clinic: Clinic, api: NexusApi) -> None:
    one = clinic.value(
        "SELECT object_id FROM documents_document WHERE object_id IN"
        " (SELECT id FROM patients) LIMIT 1"
    )
    anonymous = requests.get(f"{api.url}/api/documents/?patient_id={one}", timeout=60)
    assert anonymous.status_code == 200
    assert anonymous.json()["count"] > 0
    assert requests.get(f"{api.url}/api/patients/", timeout=60).status_code == 403
    with application.opened(access(api)) as asked:
        page = asked.get("/api/patients/", {"archived": "false", "page_size": "5"})
        assert len(page["results"]) > 5, "page_size is ignored"
        with pytest.raises(ApplicationError, match="answered with HTTP 404"):
            asked.get("/api/nothing/")


def test_a_list_that_holds_fewer_rows_than_it_says_is_refused() -> None:
    class Short:
        asked: Callable[..., None]

    api = application.Api.__new__(application.Api)
    api._access = ApplicationAccess.model_construct(url="http://127.0.0.1:1")
    api.get = lambda path, query=None: {"count": 3, "next": None, "results": [{"id": "a"}]}
    with pytest.raises(ApplicationError, match="says 3 rows, and gave 1"):
        list(api.every("/api/patients/"))


def test_archived_patients_are_asked_for_by_themselves(clinic: Clinic, api: NexusApi) -> None:
    clinic.do(
        "UPDATE patients SET archived = true WHERE id = (SELECT min(id::text)::uuid FROM patients)"
    )
    with application.opened(access(api)) as asked:
        shown = {
            name: {row["id"] for row in asked.every("/api/patients/", {"archived": value})}
            for name, value in ((ACTIVE, "false"), (ARCHIVED, "true"))
        }
    assert len(shown[ACTIVE]) + len(shown[ARCHIVED]) == clinic.value(
        "SELECT count(*) FROM patients"
    )
    assert shown[ARCHIVED]
