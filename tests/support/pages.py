"""The page of one environment, served by a process of its own, and asked over HTTP."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.page import commands, front, status
from nexus_reimport.page.desk import Desk
from nexus_reimport.record.sealed import register
from nexus_reimport.settings import FOLDER_VARIABLE, Settings
from nexus_sandbox.process import free_port
from support.clinic import Clinic

PATH = "/settings/data-management"
TOKEN = "a made-up token of the page"
_TAG = re.compile(r"<[^>]+>")


def words(text: str) -> str:
    """What a page says: its words, with single blanks between them."""
    text = text.replace("<wbr>", "")  # where a long name may go on in the next line
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


@dataclass(slots=True)
class ServedPage:
    """A running page."""

    environment: str
    environments: Path  # the folder of the environments' files
    folder: Path  # of jupyter's own files
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + PATH

    @property
    def log(self) -> Path:
        return self.folder / "page.log"

    def start(self) -> None:
        """As a person starts it; comes back when it answers."""
        self.folder.mkdir(exist_ok=True)
        given = {name: str(self.folder) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
        given |= {FOLDER_VARIABLE: str(self.environments), "JUPYTER_TOKEN": TOKEN}
        command = ["page", self.environment, "--port", str(self.port), *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nexus_reimport.cli", *command],
                env={**os.environ, **given},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + 120
        while True:
            try:
                requests.get(f"{self.origin}/login", timeout=60)
                return
            except requests.ConnectionError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def signed_in(self) -> requests.Session:
        """A session of somebody who has typed the token into the form."""
        session = requests.Session()
        form = session.get(f"{self.origin}/login", timeout=60)
        given = {"_xsrf": session.cookies["_xsrf"], "password": TOKEN}
        answer = session.post(form.url, given, timeout=60, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return session

    def post(self, session: requests.Session, action: str, **values: str) -> requests.Response:
        """What a form of the page sends."""
        given = {"_xsrf": session.cookies.get("_xsrf", ""), **values}
        return session.post(f"{self.url}/{action}", given, timeout=60)


def gathered(environment: str) -> front.Front:
    """All that the page would show, once Nexus was read; nobody serves it."""
    desk = Desk(environment)
    desk.status.value = status.read(desk.settings)
    return front.gather(desk)


@contextmanager
def served(
    environment: str, environments: Path, folder: Path, *options: str
) -> Iterator[ServedPage]:
    page = ServedPage(environment, environments, folder, free_port(), options)
    page.start()
    try:
        yield page
    finally:
        page.stop()


def settings_of(shown: Clinic) -> Settings:
    return environments.load("sandbox-dev", shown.folder)


def started(shown: Clinic) -> str:
    """The command that the page has started last."""
    last = commands.latest(settings_of(shown))
    return last.log.name if last else ""


def left_behind(shown: Clinic) -> tuple[int, str, int]:
    """What an action would leave behind: a run, a command, a line of the register."""
    settings = settings_of(shown)
    place = settings.records_folder
    return len(record.every(settings)), started(shown), register.size(place)


def said(page: ServedPage, session: requests.Session) -> str:
    answer = session.get(page.url, timeout=30)
    assert answer.status_code == 200
    return words(answer.text)
