"""What is on the wire: one origin, encrypted, nothing that leads elsewhere."""

from __future__ import annotations

import email.utils
import gzip
import json
import re
import threading
import time

import pytest
from botocore.exceptions import EndpointConnectionError

from nexus_reimport import progress, storage
from nexus_reimport.errors import SettingsError, SourceError
from nexus_reimport.filemaker import codes
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.http import RetryPolicy, TransientError, Wire, origin
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.message import Reply
from nexus_sandbox.filemaker.simulator import ACCOUNT, DATABASE, Simulator
from support import listings
from support.answering import answering
from support.small_filemaker import PASSWORD, tables

PRODUCT = "/fmi/data/v1/productInfo"


@pytest.fixture
def wire(simulator, pauses):
    wire = Wire(simulator.url, verify=True, retries=RetryPolicy(sleep=pauses.append))
    yield wire
    wire.close()


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://filemaker.example", True),
        ("https://filemaker.example:8443/", True),
        ("https://[2001:db8::1]:8443", True),
        ("http://127.0.0.1:3000", True),
        ("http://localhost", True),
        ("http://[::1]:80", True),
        ("http://filemaker.example", False),
        ("http://10.0.0.8", False),
        ("http://127.0.0.1.filemaker.example", False),
        ("ftp://filemaker.example", False),
    ],
)
def test_a_password_goes_over_https_or_stays_on_this_machine(url, is_taken):
    if is_taken:
        assert origin(url) == url.rstrip("/")
        return
    with pytest.raises(SettingsError, match="not encrypted"):
        DataApi(url, "WalkClinic", "nexus_reader", PASSWORD)


@pytest.mark.parametrize(
    "url",
    [
        "filemaker.example",
        "",
        "https://",
        "https://someone:hunter2@filemaker.example",
        "https://filemaker.example/fmi/data",
        "https://filemaker.example?x=hunter2",
        "https://filemaker.example:port",
    ],
)
def test_an_address_that_is_more_or_less_than_a_server_is_refused_unrepeated(url):
    with pytest.raises(SettingsError, match="must name a server only") as refused:
        DataApi(url, "WalkClinic", "nexus_reader", PASSWORD)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "sent",
    [b"", b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"],
    ids=["nothing", "another protocol", "headers without end"],
)
def test_a_server_that_was_reached_is_not_told_as_out_of_reach(sent):
    with answering(sent) as (url, asked):
        wire = Wire(url, verify=True, retries=RetryPolicy())
        with pytest.raises(TransientError, match="ended the connection without an answer that"):
            wire.send("GET", PRODUCT, where="here")
    assert len(asked) == 1


EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.mark.parametrize("interim", [EARLY, EARLY * 2, EARLY.replace(b"103", b"100") + EARLY])
def test_an_interim_answer_is_not_the_answer(interim):
    """It was, and the answer itself was then read as that to the next question."""
    with answering(interim + EMPTY) as (url, _):
        wire = Wire(url, verify=True, retries=RetryPolicy())
        assert wire.send("GET", PRODUCT, where="here").status == 200


@pytest.mark.parametrize("sent", [EMPTY, EARLY * 9], ids=["a header", "interim answers"])
def test_a_header_that_drips_has_the_time_of_a_whole_answer(sent):
    with answering(sent, pause=0.02) as (url, _):
        wire = Wire(url, verify=True, retries=RetryPolicy(read=5.0, whole=0.2))
        with pytest.raises(TransientError, match="answer took too long to arrive"):
            wire.send("GET", PRODUCT, where="here")


def test_an_answer_that_grows_without_end_is_left_before_it_fills_the_memory():
    """Three megabytes were three gigabytes: the system ends a run for less, and says nothing."""
    body = gzip.compress(bytes(3 << 20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with answering(head % len(body) + body) as (url, asked):
        wire = Wire(url, verify=True, retries=RetryPolicy(largest=2 << 20))
        with pytest.raises(SourceError, match="answer is larger than 2 MiB") as stopped:
            wire.with_retries(lambda: wire.send("GET", PRODUCT, where="here"))
        assert "page of [filemaker]" in stopped.value.next
        assert len(asked) == 1
        answer = Wire(url, verify=True, retries=RetryPolicy()).send("GET", PRODUCT, where="here")
    assert answer.content == bytes(3 << 20)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_so_the_token_never_leaves_the_server(simulator, status):
    with Simulator(tables(), password=PASSWORD) as elsewhere:
        away = Reply(status, b"", {"Location": f"{elsewhere.url}/fmi/data/v1/validateSession"})
        simulator.faults.append(Fault(path="API_event/records", instead=away))
        with (
            DataApi(simulator.url, "WalkClinic", "nexus_reader", PASSWORD) as source,
            pytest.raises(SourceError, match="redirects to another address") as refused,
        ):
            source.count("API_event")
        assert elsewhere.url not in str(refused.value)
        assert not elsewhere.requests


def test_proxies_and_passwords_of_the_environment_are_not_used(simulator, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login intruder password elsewhere\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with DataApi(simulator.url, "WalkClinic", "nexus_reader", PASSWORD) as source:
        assert source.count("API_event") == 6


def test_who_is_out_of_reach_without_the_proxy_is_told_of_it(monkeypatch):
    """Every other program of that machine reached the server: through HTTPS_PROXY."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    wire = Wire("http://127.0.0.1:9", verify=True, retries=RetryPolicy())

    def advice() -> list[str]:
        with pytest.raises(TransientError, match="could not be reached") as failed:
            wire.send("GET", PRODUCT, where="here")
        unreached = EndpointConnectionError(endpoint_url="x")
        of_s3 = storage.unreached(unreached, listings.place("http://127.0.0.1:9"))
        return [failed.value.next, of_s3.next]

    assert not any("proxy" in text for text in advice())
    monkeypatch.setenv("https_proxy", "http://account:secret@proxy.example:3128")
    for text in advice():
        assert "reaches it directly: no proxy is used (HTTPS_PROXY); then run again" in text
        assert "secret" not in text


def test_each_thread_keeps_one_connection_of_its_own(simulator, wire):
    seen = []

    def twice():
        for _ in range(2):
            wire.send("GET", PRODUCT, where="here")
        seen.append(wire._session())

    threads = [threading.Thread(target=twice) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, seen))) == 3
    assert len(simulator._server.connections) == 3
    assert wire.meter.read().requests == 6


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        (" 7 ", 7, 7),
        ("soon", 0, 0),
        ("", 0, 0),
        ("\N{SUPERSCRIPT TWO}", 0, 0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 0, 0),
        ("Mon, 01 Jan 2025 00:00:00 +99999999999999999999", 0, 0),
        (lambda: email.utils.formatdate(time.time() + 3600, usegmt=True), 3000, 3600),
        (lambda: email.utils.formatdate(time.time() - 3600, usegmt=True), 0, 0),
    ],
    ids=[
        *("seconds", "with blanks", "nonsense", "empty", "superscript", "no year", "no offset"),
        *("a date", "a date gone by"),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(simulator, wire, header, least, most):
    header = header() if callable(header) else header  # not when the tests are collected
    simulator.faults.append(
        Fault(path="productInfo", instead=Reply(503, b"", {"Retry-After": header}))
    )
    assert least <= wire.send("GET", PRODUCT, where="here").retry_after <= most


def test_pauses_grow_to_a_minute_with_jitter(wire, pauses):
    wire.send("GET", PRODUCT, where="here")

    def never():
        raise TransientError("it did not work", where="here", next="rest", tries=99)

    for _ in range(20):
        with pytest.raises(SourceError, match="it did not work: 8 tries"):
            wire.with_retries(never)
    by_try = [pauses[number::7] for number in range(7)]
    assert [1 <= min(tried) <= max(tried) <= 60 for tried in by_try] == [True] * 7
    assert max(by_try[0]) <= 2
    assert max(by_try[-1]) > 30
    assert all(len(set(tried)) > 10 for tried in by_try[1:])
    assert wire.meter.read().retries == 140


@pytest.mark.parametrize(("code", "tries"), [(802, 3), (820, 3), (1701, 8)])
def test_a_pause_before_the_next_try_is_told_with_its_reason(simulator, code, tries):
    """The one who waited saw the same line for a minute: nothing said that a try had failed."""
    told = []
    retries = RetryPolicy(sleep=lambda seconds: told.append((seconds, progress.waits())))
    with DataApi(simulator.url, DATABASE, ACCOUNT, PASSWORD, retries=retries) as source:
        source.tables()
        simulator.faults.append(faults.code("layouts", code, times=99))
        with pytest.raises(SourceError):
            source.tables()
    assert len(told) == tries - 1
    for number, (seconds, text) in enumerate(told, start=2):
        assert f"code {code}: {codes.lookup(code).text}: try {number} of {tries}" in text
        assert text.endswith(f"comes after {seconds:,.0f} s")
    assert progress.waits() == ""


def test_a_server_that_accepts_and_does_not_answer_is_told_while_it_is_waited_for(
    wire, simulator, monkeypatch
):
    monkeypatch.setattr(progress, "_SLOW", 0.2)
    simulator.faults.append(Fault(path="productInfo", delay=1.5))
    seen = set()
    asked = threading.Thread(target=wire.send, args=("GET", PRODUCT), kwargs={"where": "here"})
    asked.start()
    while asked.is_alive():
        seen.add(progress.waits())
        time.sleep(0.05)
    assert seen == {"", "FileMaker has not answered for 0 s"}
    assert progress.waits() == ""


def test_an_interrupt_is_never_swallowed_by_patience(wire):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wire.with_retries(interrupted)


def test_a_failure_names_no_path_and_carries_no_error_of_the_library(wire, simulator):
    simulator.faults.append(faults.cut("secret"))
    with pytest.raises(SourceError) as failed:
        wire.send("GET", "/fmi/secret?token=hunter2", where="here", authorization="Bearer hunter2")
    assert failed.value.__context__ is None
    assert "hunter2" not in str(failed.value)
    assert "secret" not in str(failed.value)
    assert "hunter2" not in repr(wire)


def answered(status: str, body: bytes = b"", headers: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 " + status.encode() + b"\r\n" + headers + length + b"\r\n" + body


def login(token: str) -> bytes:
    body = {"response": {"token": token}, "messages": [{"code": "0"}]}
    return answered("200 OK", json.dumps(body).encode())


ODD = {
    "a redirect to no address": (
        answered("302 Found", headers=b"Location: http://u:p@[::\r\n"),
        "redirects to another address (HTTP 302)",
    ),
    "a redirect to noise": (
        answered("302 Found", headers=b"Location: \xff\xfe\r\n"),
        "redirects to another address (HTTP 302)",
    ),
    "not modified": (answered("304 Not Modified"), "answered HTTP 304 (not FileMaker itself)"),
    "a token for no header": (login("t\u20ac"), "does not hold the session's token"),
    "a token with another header": (login("t\nX: y"), "does not hold the session's token"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_told_as_what_it_is(name: str) -> None:
    """Each ended in an error of the library, with the address or the token in it."""
    sent, what = ODD[name]
    with answering(sent) as (url, _):
        api = DataApi(url, "db", "account", "password", retries=RetryPolicy(first_tries=1, tries=1))
        with pytest.raises(SourceError, match=re.escape(what)):
            api.count("T")
        api.close()
