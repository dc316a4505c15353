"""Every server's channel, when a page fails: it is tried again, or the read stops and says why."""

from __future__ import annotations

import re
import socket
from functools import partial

import pytest

from nexus_reimport.errors import SourceError
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.message import Reply
from support.every_channel import (
    every_server,
    of_servers,
)
from support.small_filemaker import contacts

NULL_ROW = b'{"@count": 57, "value": [null]}'


def code(number, **how):
    """A fault of the second page: this code comes in its place."""
    return lambda path: faults.code(path, number, nth=2, **how)


def answered(status, body, **how):
    """A fault of the second page: this answer comes in its place."""
    return lambda path: Fault(path=path, nth=2, instead=Reply(status, body), **how)


@pytest.mark.parametrize(
    ("channel", "fault"),
    of_servers(
        {
            "502": partial(faults.bad_gateway, nth=3, times=3),
            "503": partial(faults.unavailable, retry_after="2", nth=2, times=2),
            "cut": partial(faults.cut, nth=2, times=2),
            "303": code(303),
            "802": code(802),
            "812": code(812),
            "951": code(951),
            "no JSON": answered(200, b"<html>maintenance</html>"),
            "401 in HTML": answered(401, b"<html>who?</html>"),
        },
        data_api={"956": lambda _: faults.code("/sessions", 956, status=429)},
        odata={
            "952": code(952, status=401),
            "error inside": partial(faults.error_inside, number=951, nth=2),
            "error after": partial(faults.error_inside, number=951, nth=2, is_json=False),
            "wordless error": answered(200, b'{"error": {"code": "oops"}}'),
            "no rows": answered(200, b'{"@count": 57}'),
            "502 of metadata": lambda _: faults.bad_gateway("metadata", times=2),
            "no metadata": lambda _: Fault(path="metadata", instead=Reply(200, b"<html>off")),
        },
    ),
)
def test_what_may_pass_is_tried_again_until_it_has_passed(
    channel, source, simulator, pauses, fault
):
    simulator.faults.append(fault(channel.records))
    assert channel.read(source, contacts()) == channel.truth(contacts())
    assert source.usage().retries == len(pauses) == simulator.faults[0].times
    assert all(1 <= pause <= 60 for pause in pauses)


@pytest.mark.parametrize(
    ("channel", "fault", "said"),
    of_servers(
        {
            "502": (partial(faults.bad_gateway, nth=2, times=99), "HTTP 502 .*: 8 tries"),
            "cut": (
                partial(faults.cut, nth=2, times=99),
                "broke off in the middle: 8 tries",
            ),
            "951": (code(951, times=99), "code 951: .*: 3 tries"),
            "953": (code(953, times=99), "code 953: .*limit on data is exceeded$"),
            "200": (code(200, times=99), "code 200: record access is denied"),
            "401": (code(401), "code 401: no records match"),
            "-4711": (code(-4711, status=400), "code -4711: an unknown code"),
            "404": (answered(404, b"<html>"), "HTTP 404 .not FileMaker itself"),
            "500": (answered(500, b"{}", times=99), "HTTP 500 .*: 8 tries"),
        },
        data_api={},
        odata={
            "952": (code(952, status=401, times=99), "code 952: an expired session.*: 3 tries"),
            "101": (code(101), "code 101: record is missing"),
            "-1002": (code(-1002, status=400), "code -1002: the address cannot be read"),
            "error inside": (
                partial(faults.error_inside, number=200, nth=2),
                "code 200: record access is denied",
            ),
            "a row that is none": (
                lambda path: Fault(path=path, instead=Reply(200, NULL_ROW), times=99),
                "sent an answer that cannot be read.*: 3 tries",
            ),
            "no count": (
                lambda path: Fault(path=path, instead=Reply(200, b'{"value": []}')),
                "does not hold the number of records",
            ),
        },
    ),
)
def test_a_failed_page_is_never_taken_for_the_end_of_the_data(
    channel, source, simulator, fault, said
):
    simulator.faults.append(fault(channel.records))
    with pytest.raises(SourceError) as failed:
        channel.read(source, contacts())
    assert re.search(said, failed.value.what)
    assert "table=API_Contacts" in failed.value.where
    assert failed.value.next


# ------------------------------------------------------------------ servers that are slow or gone


@every_server
def test_retry_after_lengthens_the_pause_and_an_endless_one_stops(
    channel, source, simulator, pauses
):
    simulator.faults.append(faults.unavailable(channel.records, retry_after="90"))
    channel.read(source, contacts())
    assert pauses == [90.0]
    for seconds, span in (("3600", "3,600 s"), ("9" * 500, "more than a day")):
        simulator.faults[:] = [faults.unavailable(channel.records, retry_after=seconds)]
        with pytest.raises(SourceError, match=f"asks us to wait {span}\n"):
            channel.read(source, contacts())
    assert pauses == [90.0]


@every_server
def test_an_answer_that_drips_is_taken_or_given_up_by_the_time_for_a_whole_one(channel, simulator):
    simulator.faults.append(faults.drip(channel.records, pieces=5, pause=0.02, nth=2))
    with channel.opened(simulator) as source:
        assert channel.read(source, contacts()) == channel.truth(contacts())
    simulator.faults[:] = [faults.drip(channel.records, pieces=200, pause=0.05, times=99)]
    with (
        channel.opened(simulator, read=5.0, whole=0.2, tries=2) as hurried,
        pytest.raises(SourceError, match="took too long to arrive: 2 tries"),
    ):
        channel.read(hurried, contacts())


@every_server
def test_an_unreachable_server_is_one_clear_message(channel):
    with socket.socket() as silent:  # bound, so that nothing else listens there
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with channel.opened(f"http://127.0.0.1:{port}") as source:
            with pytest.raises(SourceError) as failed:
                source.tables()
            with pytest.raises(SourceError) as failed_too:
                source.count("API_Contacts")
    assert str(failed.value) == (
        "FileMaker could not be reached: 3 tries\n"
        f"  where: channel={channel}, server=127.0.0.1:{port}, database=WalkClinic\n"
        "  state: nothing was written\n"
        "  next:  check the address, the network, and that the server is running; then run again"
    )
    assert str(failed_too.value).replace(", table=API_Contacts", "") == str(failed.value)


@every_server
def test_a_server_that_dies_in_the_middle_of_a_read_stops_it(channel, simulator):
    with channel.opened(simulator, tries=4) as source:
        pages = source.records(channel.wanted(contacts()), page=10)
        next(pages)
        simulator.stop()
        with pytest.raises(SourceError, match=r"reached: 4 tries|in the middle: 4 tries"):
            next(pages)
