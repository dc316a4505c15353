"""Makes the sample record and the README's pictures anew, from a real run on the made-up clinic.

    python tools/show_a_run.py record      # docs/sample-record: a run of dev, and its rollback
    python tools/show_a_run.py pictures    # docs/pictures: 01 as it was executed, and the page

The pictures need Chromium and its driver. A record holds the names of the machine, the account and
the folder that it was made with: where they should not be shown, run it as

    export TMPDIR=/srv/reimport    # and an account of that name, which may write there and here
    unshare --uts sh -c 'hostname sample; runuser -u reimport -- python tools/show_a_run.py record'
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import requests
from PIL import Image
from selenium import webdriver

from nexus_reimport import CHECKOUT, runner
from nexus_reimport import settings as environments
from nexus_reimport.record.sealed import bag
from nexus_reimport.runner import CommandOutcome, notebook
from nexus_reimport.settings import FOLDER_VARIABLE
from nexus_sandbox.stack import lifecycle

DEV = "sandbox-dev"
SAMPLE, SEALS = CHECKOUT / "docs" / "sample-record", CHECKOUT / "docs" / "sample-record.seals.txt"
PICTURES = CHECKOUT / "docs" / "pictures"
SMALL, LARGE = 0.03, 0.1  # of the real size
ROWS = (
    "SELECT run, sequence, verdict, seal FROM nexus_reimport.runs WHERE environment = %s ORDER BY 2"
)
WIDTH, HEIGHT = 1280, 960
NO_SELF_TEST = "\n[rehearsal]\nself_test = false\n"  # of the run that waits: it is not looked at
TOKEN, READ = "a-token-for-the-pictures", 10.0  # seconds


@contextmanager
def sandbox(scale: float) -> Iterator[Path]:
    """A made-up clinic of its own, with the environment file of its dev."""
    with tempfile.TemporaryDirectory(prefix="nexus-reimport-") as home:
        folder = Path(home, "runbook", "environments")
        folder.mkdir(parents=True)
        shutil.copy(CHECKOUT / "runbook" / "environments" / f"{DEV}.toml", folder)
        os.environ[FOLDER_VARIABLE] = str(folder)
        with lifecycle.running(Path(home, "sandbox"), scale=scale, environments=folder):
            yield folder


def executed() -> CommandOutcome:
    """A run of dev to its end."""
    (outcome,) = runner.run([DEV], approve_rehearsed=True, progress=print)
    if outcome.exit_code:
        sys.exit(outcome.error)
    return outcome


def make_record() -> None:
    """A run and its rollback, with what the database holds of both."""
    with sandbox(SMALL):
        outcome = executed()
        back = runner.rollback(runner.RollbackOptions(outcome.run, rehearsed=True))
        if back.exit_code:
            sys.exit(back.error)
        settings = environments.load(DEV)
        shutil.rmtree(SAMPLE, ignore_errors=True)
        ours = shutil.ignore_patterns(".at_work")
        shutil.copytree(settings.folders.runs / DEV, SAMPLE, ignore=ours)
        place = settings.postgres
        with psycopg.connect(
            host=place.host,
            port=place.port,
            dbname=place.database,
            user=place.user,
            password=place.password.get_secret_value(),
        ) as connection:
            rows = connection.execute(ROWS, (DEV,)).fetchall()
    SEALS.write_text("".join(",".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


# ---------------------------------------------------------------- the pictures


def make_pictures() -> None:
    """01 as it was executed, and the page with a dry run that waits."""
    PICTURES.mkdir(exist_ok=True)
    with sandbox(LARGE) as folder:
        outcome = executed()
        with (folder / f"{DEV}.toml").open("a", encoding="utf-8") as file:
            file.write(NO_SELF_TEST)
        runner.run([DEV], progress=print)
        with browser(folder.parent) as driver:
            preflight = Path(outcome.record, bag.PAYLOAD, f"{notebook.PREFLIGHT}.html")
            driver.get(preflight.as_uri())
            keep(driver, "preflight")
            with page(folder.parent) as address:
                driver.get(address)
                time.sleep(READ)  # what Nexus, FileMaker and S3 say
                driver.get(address)
                keep(driver, "page")


@contextmanager
def browser(home: Path) -> Iterator[webdriver.Chrome]:
    """Chromium, with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    given = f"--user-data-dir={home / 'chromium'}", f"--window-size={WIDTH},{HEIGHT}"
    for argument in ("--headless", "--no-sandbox", "--hide-scrollbars", *given):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def page(home: Path) -> Iterator[str]:
    """The page of dev, served; its address with the token."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    own = {
        "JUPYTER_TOKEN": TOKEN,
        "JUPYTER_RUNTIME_DIR": str(home),
        "JUPYTER_CONFIG_DIR": str(home),
    }
    command = [sys.executable, "-m", "nexus_reimport.cli", "page", DEV, "--port", port]
    with subprocess.Popen(command, env=os.environ | own) as served:
        try:
            address = f"http://127.0.0.1:{port}/settings/data-management?token={TOKEN}"
            until_served(address)
            yield address
        finally:
            served.terminate()


def until_served(address: str) -> None:
    """Wait until somebody answers."""
    for _ in range(600):
        try:
            requests.get(address, timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    sys.exit("the page does not answer")


def keep(driver: webdriver.Chrome, name: str) -> None:
    """The first screen, in 256 colours: it is looked at on a README."""
    raw = driver.get_screenshot_as_png()
    picture = Image.open(io.BytesIO(raw)).convert("RGB").quantize(256)
    picture.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    {"record": make_record, "pictures": make_pictures}[sys.argv[1]]()
