"""The page at Nexus's own address: whom Nexus lets in is let in, by name; all others are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from support.clinic import Clinic
from support.pages import PATH, TOKEN, ServedPage, served, words
from support.proxies import COOKIE, HOST, USER, proxied


@pytest.fixture(scope="module")
def inner(shown: Clinic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    folder: Path = tmp_path_factory.mktemp("behind") / "page"
    with served("sandbox-dev", shown.folder, folder, "--behind", HOST) as found:
        yield found


@pytest.fixture(scope="module")
def outer(inner: ServedPage) -> Iterator[str]:
    with proxied(inner) as address:
        yield address + PATH


def test_whom_nexus_does_not_know_is_led_to_its_login(outer: str) -> None:
    answer = requests.get(outer, timeout=30, allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")


def test_whom_nexus_knows_is_signed_in_by_name_and_never_sees_the_token(outer: str) -> None:
    answer = requests.get(outer, headers={"Cookie": COOKIE}, timeout=30)
    assert answer.status_code == 200
    assert f"signed in as {USER}" in words(answer.text)
    assert TOKEN not in answer.text + str(answer.headers)
    (login,) = [c for c in answer.raw.headers.getlist("Set-Cookie") if c.startswith("username")]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {part.strip() for part in login.split(";")}


def test_a_form_works_through_the_proxy_and_a_forged_one_does_not(outer: str) -> None:
    shown = requests.get(outer, headers={"Cookie": COOKIE}, timeout=30)
    token = shown.cookies["_xsrf"]
    cookie = {"Cookie": f"{COOKIE}; _xsrf={token}", "Origin": f"https://{HOST}"}
    done = requests.post(
        f"{outer}/read-again", {"_xsrf": token}, headers=cookie, timeout=30, allow_redirects=False
    )
    assert (done.status_code, done.headers["Location"]) == (303, f"{PATH}#status")
    forged = requests.post(f"{outer}/read-again", {"_xsrf": "x"}, headers=cookie, timeout=30)
    assert forged.status_code == 403


def test_the_log_comes_through_the_proxy_as_it_happens(outer: str) -> None:
    with requests.get(
        f"{outer}/events", headers={"Cookie": COOKIE}, timeout=60, stream=True
    ) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert next(answer.iter_lines()) == b"event: state"


def test_another_hosts_name_is_refused(inner: ServedPage) -> None:
    given = {"Host": "elsewhere.example", "Authorization": f"token {TOKEN}"}
    assert requests.get(inner.url, headers=given, timeout=60).status_code == 403
