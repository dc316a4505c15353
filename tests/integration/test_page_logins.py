"""Who is let in to the page, with which headers, and what the server refuses."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time

import pytest
import requests
from tornado.web import create_signed_value

from nexus_reimport import record
from support.clinic import Clinic
from support.pages import PATH, TOKEN, ServedPage, left_behind, settings_of, words

ACTIONS = ("dry-run", "execute", "roll-back", "cancel", "finish", "look", "sign", "log-out")


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 200), ("/nothing", 404), ("/runs/nothing", 404), ("/dry-run", 405), ("/events", 405)],
)
def test_head_is_answered_as_get_without_the_body(
    page: ServedPage, session: requests.Session, path: str, status: int
) -> None:
    answer = session.head(page.url + path, timeout=30)
    assert (answer.status_code, answer.content) == (status, b"")
    assert requests.head(page.url, timeout=30, allow_redirects=True).status_code == 200, "a login"
    assert "allow_unauthenticated" not in page.log.read_text(), "jupyter_server warns of nothing"


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
def test_the_page_is_at_its_address_with_and_without_the_last_slash(
    page: ServedPage, session: requests.Session, path: str
) -> None:
    answer = session.get(page.origin + path, timeout=30, allow_redirects=False)
    assert answer.status_code == 200
    assert "<title>DEV · Data management" in answer.text


def test_without_a_login_every_address_leads_to_it_and_tells_nothing(page: ServedPage) -> None:
    for path in ("", "/", "/runs/20260101T000000Z-0000"):
        answer = requests.get(page.url + path, timeout=60, allow_redirects=False)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/login")
    for action in ("read-again", "test-again"):
        answer = requests.post(f"{page.url}/{action}", timeout=60, allow_redirects=False)
        assert answer.status_code == 403


def test_a_wrong_token_is_refused_and_the_page_says_so(page: ServedPage) -> None:
    session = requests.Session()
    session.get(f"{page.origin}/login", timeout=60)
    given = {"_xsrf": session.cookies["_xsrf"], "password": TOKEN + "."}
    answer = session.post(f"{page.origin}/login", given, timeout=60)
    assert answer.status_code == 401
    assert "not the token or the password" in words(answer.text)
    assert session.get(page.url, timeout=60, allow_redirects=False).status_code == 302


def test_a_login_ends_after_half_a_day(page: ServedPage) -> None:
    """A cookie as the page itself signs it, of an earlier time."""
    session = page.signed_in()
    (name,) = [cookie.name for cookie in session.cookies if cookie.name != "_xsrf"]
    key = (page.folder / "jupyter_cookie_secret").read_bytes()
    secret = hmac.new(key, digestmod=hashlib.sha256).digest()
    parts = ("username", "name", "display_name", "initials", "color", "avatar_url")
    user = json.dumps(dict.fromkeys(parts, "anonymous"))
    status = []
    for hours in (11, 13):
        then = time.time() - 3600 * hours
        signed = create_signed_value(secret, name, user, clock=lambda then=then: then)
        cookies = {name: signed.decode()}
        answer = requests.get(page.url, cookies=cookies, timeout=30, allow_redirects=False)
        status.append(answer.status_code)
    assert status == [200, 302]


def test_a_token_in_the_address_is_taken_out_of_it(page: ServedPage) -> None:
    answer = requests.get(page.url, {"token": TOKEN}, timeout=30)
    assert answer.url == page.url
    assert answer.status_code == 200


def test_each_answer_lets_the_browser_load_nothing_but_the_pages_own_files(
    page: ServedPage, session: requests.Session
) -> None:
    for path in (PATH, "/login", f"{PATH}/nothing"):
        answer = session.get(page.origin + path, timeout=30, allow_redirects=False)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';"), path
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers
        for forbidden in ("<style", " style=", "onclick", '="http', "=http"):
            assert forbidden not in answer.text, (path, forbidden)


@pytest.mark.parametrize("with_token", [False, True])
def test_a_forged_request_is_refused_also_where_a_proxy_adds_the_token(
    page: ServedPage, session: requests.Session, with_token: bool
) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    if with_token:
        headers["Authorization"] = f"token {TOKEN}"
    answer = session.post(f"{page.url}/read-again", {}, headers=headers, timeout=60)
    assert answer.status_code == 403
    assert "Nothing was done" in words(answer.text)
    assert session.get(f"{page.url}/read-again", timeout=60).status_code == 405


@pytest.mark.parametrize("action", ACTIONS)
def test_no_action_is_done_by_a_link_or_by_a_form_of_another_site(
    page: ServedPage, session: requests.Session, shown: Clinic, action: str
) -> None:
    before = left_behind(shown)
    assert session.get(f"{page.url}/{action}", timeout=60).status_code == 405
    given = {"line": "S5", "who": "A. Forger", "text": "agreed"}
    for token in ({}, {"_xsrf": "forged"}):
        forged = session.post(f"{page.url}/{action}", given | token, timeout=60)
        assert forged.status_code == 403
    assert left_behind(shown) == before


def test_a_host_that_the_server_does_not_know_is_told_with_what_to_do(page: ServedPage) -> None:
    """It said that the request had not come from this page, or, at the login, showed nothing."""
    for address in (page.url, f"{page.origin}/login"):
        answer = requests.get(address, headers={"Host": "nexus.clinic.example"}, timeout=60)
        assert answer.status_code == 403
        text = words(answer.text)
        assert "asked for as nexus.clinic.example, a name that this server does not know" in text
        assert "--behind" in text


def test_a_login_that_is_refused_is_told_on_a_page_of_ours(page: ServedPage) -> None:
    """As when the browser has forgotten its cookies while the form was open."""
    answer = requests.post(f"{page.origin}/login", {"password": TOKEN}, timeout=60)
    assert answer.status_code == 403
    assert "This was refused" in words(answer.text)
    assert "JavaScript" not in answer.text


def test_a_request_larger_than_a_form_is_refused_before_it_is_read(page: ServedPage) -> None:
    """Of one of 300 MB, from somebody who was not let in, the server took 900 MB of memory."""
    head = f"POST {PATH}/sign HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {300 << 20}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


def test_what_was_refused_is_one_line_of_the_servers_log(
    page: ServedPage, session: requests.Session, shown: Clinic
) -> None:
    before = len(page.log.read_text())
    with record.at_work(settings_of(shown)):
        assert page.post(session, "dry-run").status_code == 409
    logged = page.log.read_text()[before:]
    assert "POST /settings/data-management/dry-run: a command of sandbox-dev is at" in logged
    assert "Traceback" not in logged


def test_the_server_of_the_page_has_no_kernels_and_no_files(
    page: ServedPage, session: requests.Session
) -> None:
    for path in (
        "/api/kernels",
        "/api/contents",
        "/api/terminals",
        "/api/sessions",
        "/lab",
        "/tree",
    ):
        assert session.get(page.origin + path, timeout=60).status_code == 404, path
