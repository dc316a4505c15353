"""The page at Nexus's own address: whom Nexus lets in is let in, by name; all others are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from nexus_reimport.record import signatures
from support.clinic import Clinic
from support.pages import PATH, TOKEN, ServedPage, served, settings_of, words
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
    assert "Log out" not in words(answer.text)  # it led to an address that is not the page's
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


def test_whoever_is_signed_in_signs_and_nobody_else(outer: str, shown: Clinic) -> None:
    """One account has typed the name of a second person, and so was two."""
    page = requests.get(outer, headers={"Cookie": COOKIE}, timeout=30)
    assert re.search(f'id="sign-who"[^>]* value="{USER}"[^>]* readonly', page.text)
    token = page.cookies["_xsrf"]
    cookie = {"Cookie": f"{COOKIE}; _xsrf={token}", "Origin": f"https://{HOST}"}
    given = {"_xsrf": token, "line": "S3", "who": "Somebody Else", "text": "agreed", "do": "sign"}
    done = requests.post(f"{outer}/sign", given, headers=cookie, timeout=60, allow_redirects=False)
    assert done.status_code == 303
    assert signatures.standing(settings_of(shown))["S3"].who == USER


def test_the_log_comes_through_the_proxy_as_it_happens(outer: str) -> None:
    with requests.get(
        f"{outer}/events", headers={"Cookie": COOKIE}, timeout=60, stream=True
    ) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert next(answer.iter_lines()) == b"event: state"


def test_a_page_under_a_path_leads_nowhere_else(shown: Clinic, tmp_path: Path) -> None:
    """Its links, its style and its forms led past the path, to what the proxy does not know."""
    with served("sandbox-dev", shown.folder, tmp_path, "--behind", f"{HOST}/nexus") as found:
        given = {"Host": HOST, "Authorization": f"token {TOKEN}"}
        answer = requests.get(f"{found.origin}/nexus{PATH}", headers=given, timeout=60)
        assert answer.status_code == 200
        led = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', answer.text))
        assert len(led) > 8
        assert all(one.startswith(f"/nexus{PATH}") for one in led)
        assert requests.get(found.url, headers=given, timeout=60).status_code == 404


def test_another_hosts_name_is_refused(inner: ServedPage) -> None:
    given = {"Host": "elsewhere.example", "Authorization": f"token {TOKEN}"}
    assert requests.get(inner.url, headers=given, timeout=60).status_code == 403
