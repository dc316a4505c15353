"""The page as people use it, in Chromium: each of T1 to T5, cancel, rollback, two at a time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.model import Approval, Proposal
from nexus_reimport.record import Run, Verdict
from support.axe import found_by_axe
from support.browsers import (
    BUTTON,
    at_rest,
    buttons,
    choose,
    follow,
    look_at,
    press,
    sign_in,
    started,
    text_of,
    type_into,
    until_given,
    value_of,
    wait_for,
)
from support.clinic import Clinic
from support.pages import TOKEN, ServedPage, served

pytestmark = pytest.mark.timeout(1200)  # whole runs, on a machine that has other things to do
DEV = "sandbox-dev"
START = "Start dry run"


def runs(shown: Clinic) -> list[Run]:
    return record.every(environments.load(DEV, shown.folder))


def patients(shown: Clinic) -> int:
    return int(shown.value("SELECT count(*) FROM patients"))


def after_it(browser: webdriver.Chrome) -> int:
    """How many patients the dry run says there will be: the number that a person reads."""
    said = value_of(browser, "//section[@id='dry-run']//dt[.='There after it']/following::dd[1]")
    number, _, rest = said.partition(" ")
    assert rest.startswith("patients,")
    return int(number.replace(",", ""))


def test_a_person_signs_in_sees_the_data_and_the_connections_and_asks_again(
    browser: webdriver.Chrome, page: ServedPage, shown: Clinic
) -> None:
    sign_in(browser, page)
    assert browser.current_url == page.url
    assert browser.title == "DEV · Data management: reimport from FileMaker"
    assert f"Patients {patients(shown):,}" in wait_for(browser, "status", "Patients")
    assert "PostgreSQL connected" in wait_for(browser, "connections", "PostgreSQL connected")
    press(browser, "Read again")
    wait_for(browser, "status", "as of")
    press(browser, "Test again")
    wait_for(browser, "connections", "S3 connected")


def test_a_wrong_token_a_login_that_has_ended_and_a_log_out_lead_to_the_login(
    browser: webdriver.Chrome, page: ServedPage
) -> None:
    sign_in(browser, page, TOKEN + ".")
    wait_for(browser, "main", "not the token or the password")
    sign_in(browser, page)
    assert browser.current_url == page.url
    browser.delete_all_cookies()  # as when half a day has passed
    press(browser, START)
    wait_for(browser, "main", "This was refused")
    wait_for(browser, "main", "Nothing was done")
    browser.get(page.url)
    assert browser.title == "DEV · Sign in"
    sign_in(browser, page)
    press(browser, "Log out")
    assert browser.title == "DEV · Sign in"
    browser.get(page.url)
    assert browser.title == "DEV · Sign in"


def test_dry_run_full_reimport_and_rollback(
    browser: webdriver.Chrome, page: ServedPage, shown: Clinic, shots: Path | None
) -> None:
    before = shown.state()
    sign_in(browser, page)
    wait_for(browser, "connections", "S3 connected")
    assert not buttons(browser)["Reimport DEV"]
    look_at(browser, shots, "1 before")
    press(browser, START)
    wait_for(browser, "work", "Dry run is at work")
    wait_for(browser, "log", "read FileMaker finished (")
    assert not buttons(browser)[START]
    wait_for(browser, "dry-run", "GO, once somebody approves it below")
    assert shown.state() == before, "a dry run changes nothing"
    run = runs(shown)[-1]
    assert run.verdict() is Verdict.WAITING
    wait_for(browser, "reimport", "Every gate is open")
    look_at(browser, shots, "2 dry run")

    expected = after_it(browser)
    assert f"DEV {expected:,}" not in browser.page_source, "it cannot be copied as it stands"
    type_into(browser, name="Ada Engineer", reason="agreed with reception", phrase=f"{expected:,}")
    press(browser, "Reimport DEV")
    wait_for(browser, "refused", "Nothing was started")
    assert browser.find_element(By.ID, "name").get_attribute("value") == "Ada Engineer"
    look_at(browser, shots, "3 wrong phrase")
    type_into(browser, phrase=f"DEV {expected:,}")
    press(browser, "Reimport DEV")
    wait_for(browser, "work", "Full reimport is at work")
    look_at(browser, shots, "4 at work")
    wait_for(browser, "dry-run", "COMPLETE: ")
    wait_for(browser, "status", f"Patients {expected:,}")
    assert (run.verdict(), patients(shown)) == (Verdict.COMPLETE, expected)
    approval = run.load(Approval)
    assert (approval.name, approval.reason) == ("Ada Engineer", "agreed with reception")
    wait_for(browser, "runs", "Ada Engineer")
    look_at(browser, shots, "5 complete")

    follow(browser, "verify")
    assert "Sign-off" in browser.find_element(By.TAG_NAME, "body").text
    assert f"/runs/{run.id}/files/03_verify.html" in browser.current_url
    browser.get(f"{page.url}/runs/{run.id}")
    assert "committed" in text_of(browser, "log")
    look_at(browser, shots, "6 run")

    browser.get(page.url)
    assert "Rows that are put back" not in text_of(browser, "way-back"), "an old look is void"
    press(browser, "Look first")
    wait_for(
        browser, "way-back", "Nobody has changed these rows or links since: the rollback is exact"
    )
    look_at(browser, shots, "7 way back")
    there, _ = before["patients"]
    type_into(browser, "back-", name="Ada Engineer", reason="only a try", phrase=f"dev {there}")
    press(browser, "Take it back")
    wait_for(browser, "dry-run", "was undone, and verified")
    wait_for(browser, "runs", "taken back since")
    wait_for(browser, "connections", f"by run {shown.made_once('executed_once').run}")
    assert shown.state() == before


def test_the_sign_off_of_production_is_signed_on_a_phone_without_scripts(
    clinic: Clinic, tmp_path: Path, shots: Path | None
) -> None:
    clinic.proposed()
    clinic.as_production()
    with (
        served(DEV, clinic.folder, tmp_path / "jupyter") as own,
        started(tmp_path / "phone", scripts=False) as browser,
    ):
        browser.set_window_size(390, 900)
        sign_in(browser, own)
        wait_for(browser, "sign-off", "Missing: 3 of 7 lines")
        assert "next: sign it under Sign-off" in text_of(browser, "reimport")
        follow(browser, "sign it under Sign-off")
        assert browser.current_url.endswith("#sign-off")

        choose(browser, "S5")
        type_into(browser, "sign-", who="Ada Engineer", text="https://me:secret@host/")
        press(browser, "Sign the line")
        wait_for(browser, "refused", "Nothing was signed")
        assert "a login or a token" in text_of(browser, "sign-text-wrong")
        assert browser.find_element(By.ID, "sign-who").get_attribute("value") == "Ada Engineer"
        assert browser.find_element(By.ID, "sign-line").get_attribute("value") == "S5"
        look_at(browser, shots, "10 refused signature", 390)
        type_into(browser, "sign-", text="Saturday 22:00, agreed with reception")
        press(browser, "Sign the line")
        wait_for(browser, "sign-off", "Ada Engineer: Saturday 22:00, agreed with reception")
        for line in ("S2", "S7"):
            at_rest(browser, own)
            choose(browser, line)
            type_into(browser, "sign-", who="Ada Engineer", text="done")
            press(browser, "Sign the line")
        wait_for(browser, "sign-off", "None of the 7 lines is open")
        gates = text_of(browser, "reimport")
        assert [f"open S{n}: " in gates for n in range(1, 8)] == [True] * 7
        assert "Sign-off" not in text_of(browser, "main").partition("Next:")[2].partition("Go ")[0]
        look_at(browser, shots, "11 signed", 390)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= browser.execute_script("return window.innerWidth")


def test_a_double_click_starts_one_run_and_shows_it(
    clinic: Clinic, chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    """The second click was refused: "This was not done", while all patient data was replaced."""
    clinic.proposed()
    with served(DEV, clinic.folder, tmp_path / "jupyter") as own:
        sign_in(chromium, own)
        at_rest(chromium, own)
        said = f"DEV {after_it(chromium):,}"
        type_into(chromium, name="Ada Engineer", reason="agreed", phrase=said)
        button = chromium.execute_script(BUTTON, "Reimport DEV")
        ActionChains(chromium).double_click(button).perform()
        top = wait_for(chromium, "page", "Full reimport is at work, started by Ada Engineer at ")
        assert "not done" not in top
        assert chromium.current_url == f"{own.url}#work"
        wait_for(chromium, "page", "COMPLETE: reimported and verified (full reimport, ")
        assert len(runs(clinic)) == 1


def test_a_page_whose_server_has_stopped_says_that_it_is_old_until_the_server_is_there_again(
    clinic: Clinic, chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    """It went on to say that a run is at work, for ever."""
    with served(DEV, clinic.folder, tmp_path / "jupyter") as own:
        sign_in(chromium, own)
        at_rest(chromium, own)

        def is_old() -> bool:  # of the page as it is by then: it is shown anew by itself
            return chromium.find_element(By.ID, "silent").is_displayed()

        assert not is_old()
        own.stop()
        until_given(chromium, is_old, "nothing is said", 60)
        told = text_of(chromium, "silent")
        assert re.match(
            r"This page is no longer kept up to date, since \d\d:\d\d:\d\d \(\S+\):", told
        )
        assert found_by_axe(chromium) == []
        own.start()
        until_given(chromium, lambda: not is_old(), "it stays old", 60)


def test_two_people_see_the_same_run_and_one_of_them_cancels_it(
    browser: webdriver.Chrome,
    page: ServedPage,
    session: requests.Session,
    shown: Clinic,
    tmp_path: Path,
) -> None:
    before, known = shown.state(), len(runs(shown))
    shown.simulator.latency_ms = (
        30_000  # for each page: the dry run must last until it is cancelled
    )
    try:
        with started(tmp_path / "other") as other:
            sign_in(browser, page)
            sign_in(other, page)
            press(browser, START)
            wait_for(browser, "work", "Dry run is at work")
            wait_for(other, "work", "Dry run is at work")
            assert not buttons(other)[START]
            refused = page.post(session, "dry-run")  # by somebody whose page is older
            assert refused.status_code == 409
            assert "is at work already" in refused.text
            browser.refresh()
            wait_for(browser, "work", "Read FileMaker")
            page.stop()  # and the page itself is restarted: the run goes on
            page.start()
            assert runs(shown)[-1].workers()
            for person in (browser, other):
                person.get(page.url)
                wait_for(person, "work", "Dry run is at work")
            press(other, "Cancel dry run")
            wait_for(other, "dry-run", "KILLED: it was interrupted; nothing was written")
            wait_for(browser, "dry-run", "KILLED: it was interrupted; nothing was written")
    finally:
        shown.simulator.latency_ms = 0
    assert [run.verdict() for run in runs(shown)[known:]] == [Verdict.KILLED]
    assert shown.state() == before


def test_without_scripts_the_page_reloads_itself_and_a_gate_closes_when_somebody_writes(
    clinic: Clinic, tmp_path: Path
) -> None:
    waiting = clinic.proposed().run
    with (
        served(DEV, clinic.folder, tmp_path / "jupyter") as own,
        started(tmp_path / "plain", scripts=False) as browser,
    ):
        sign_in(browser, own)
        wait_for(browser, "reimport", "Every gate is open")
        number = after_it(browser)
        note = clinic.value("SELECT id FROM notes ORDER BY id LIMIT 1")
        clinic.do("UPDATE notes SET content = content || '.' WHERE id = %s", "dev", note)
        before = clinic.state()
        press(browser, "Read again")
        said = wait_for(browser, "reimport", "gates is not open")
        assert "notes: " in said
        assert "start another dry run" in said
        assert not buttons(browser)["Reimport DEV"]
        digest = waiting.load(Proposal).digest[:12]
        given = {"name": "A", "reason": "B", "phrase": f"DEV {number}", "digest": digest}
        forced = own.post(own.signed_in(), "execute", **given)
        assert forced.status_code == 409
        assert "the full reimport is closed" in forced.text

        clinic.simulator.latency_ms = 30_000  # for each page: it must last until it is cancelled
        press(browser, START)
        wait_for(browser, "work", "Dry run is at work")
        assert browser.find_elements(By.CSS_SELECTOR, "noscript meta"), "scripts are switched off"
        wait_for(browser, "log", "read FileMaker begins")
        press(browser, "Cancel dry run")
        wait_for(browser, "dry-run", "KILLED: it was interrupted; nothing was written")
        assert clinic.state() == before
