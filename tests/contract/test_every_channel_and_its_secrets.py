"""Every channel's settings and secrets: said with what to check, and shown to nobody."""

from __future__ import annotations

import logging
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from nexus_reimport.errors import ReimportError, SettingsError, SourceError
from nexus_sandbox.filemaker import exports, faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.message import Reply
from support.every_channel import (
    DATA_API,
    EXPORTS,
    FILES,
    ODATA,
    every_server,
)
from support.small_filemaker import contacts


@every_server
def test_a_wrong_database_is_said_with_what_to_check(channel, simulator, pauses):
    with channel.opened(simulator, pauses, database="Elsewhere") as source:
        for ask in (source.count, source.fields):
            with pytest.raises(SourceError) as failed:
                ask("API_Contacts")
            assert "code 802: the file cannot be opened: 3 tries" in str(failed.value)
            assert "check the database's name" in str(failed.value)
    assert len(pauses) >= 4
    assert all(pause >= 15 for pause in pauses)


@every_server
def test_four_threads_send_a_wrong_password_once(channel, simulator):
    simulator.faults.append(Fault(path=".", delay=0.2))
    opened = channel.opened(simulator, password="wrong, secret")
    with opened as source, ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(source.count, "API_Contacts") for _ in range(8)]
        assert all(isinstance(task.exception(), SettingsError) for task in tasks)
    assert sum(simulator.requests.values()) == 1


def breaks_of_servers(channel):
    path = channel.records
    return [
        faults.bad_gateway(path, times=99),
        faults.cut(path, times=99),
        faults.code(path, 201, times=99),
        faults.doubled_row(path),
        Fault(path=path, change=lambda answer: Reply(418, answer.body[:-3]), times=99),
    ]


def breaks_of_the_data_api(channel):
    return [
        faults.code(channel.records, 952, status=401, times=99),
        Fault(path="sessions", instead=Reply(500, b"<html>correct horse</html>"), times=99),
        faults.cut("sessions", times=99),
    ]


def breaks_of_odata(channel):
    path = channel.records
    return [
        faults.error_inside(path, 200),
        faults.error_inside(path, 200, is_json=False, times=99),
        faults.wrong_link(path, lambda link: link.replace("API_Contacts?", "Quillfeather?")),
        faults.wrong_link(path, lambda link: "http://[Quillfeather"),
        faults.edit_record(path, "API_Contacts", 0, {"id": "Quillfeather"}, nth=4),
        Fault(path=path, change=lambda answer: Reply(200, answer.body[:-3]), times=99),
        Fault(path="metadata", instead=Reply(500, b"<html>correct horse</html>"), times=99),
        Fault(path="metadata", instead=Reply(401, b"<html>correct horse</html>"), times=99),
    ]


def breaks_of_exports(channel):
    def exported(**style):
        return lambda folder: exports.write(
            contacts(), folder.path / FILES["API_Contacts"], exports.Style(**style)
        )

    def spoilt(change):
        return lambda folder: folder.spoil(change)

    return [
        channel.double,
        exported(headers=False),
        exported(dates="m/d/y"),
        spoilt(lambda content: content.replace(b"00000000-AAAA-4BBB-8CCC-DDDDEEEEFFFF", b"")),
        spoilt(lambda content: content + b"AAAA-4BBB\tQuillfeather\r"),
        spoilt(lambda content: content + b"Quillfeather \xff\r"),
        spoilt(lambda content: content.replace(b"nameLast", b"nameList")),
        spoilt(lambda content: b"PK\x03\x04 Quillfeather" + content),
    ]


@pytest.mark.parametrize(
    ("channel", "breaks", "fewest"),
    [
        (DATA_API, [breaks_of_servers, breaks_of_the_data_api], 6),  # four tokens at least
        (ODATA, [breaks_of_servers, breaks_of_odata], 2),
        (EXPORTS, [breaks_of_exports], 0),
    ],
    ids=["data_api", "odata", "exports"],
)
def test_no_secret_and_no_value_is_in_an_error_a_repr_or_a_traceback(
    channel, breaks, fewest, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    secrets = set()
    for number, fault in enumerate(fault for made in breaks for fault in made(channel)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with channel.started(folder) as place:
            channel.strike(place, fault)
            source = channel.opened(place)
            with pytest.raises(ReimportError) as failed:
                channel.read(source, contacts())
            secrets |= channel.secrets(source)
            shown = [
                "".join(traceback.format_exception(failed.value)),
                repr(failed.value),
                *channel.shown(source),
            ]
            source.close()
        for text in shown:
            for secret in ("Quillfeather", "correct horse", "AAAA-4BBB", "Basic", "$select"):
                assert secret not in text
            assert not any(secret in text for secret in secrets)
        assert failed.value.__context__ is None
    assert len(secrets) >= fewest
    assert "correct horse" not in caplog.text
