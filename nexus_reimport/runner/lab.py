"""JupyterLab on copies of the pages: fresh, without outputs, in a private folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import environ
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError, SettingsError
from nexus_reimport.files import private
from nexus_reimport.interrupt import left_to
from nexus_reimport.record import access, lab_pages
from nexus_reimport.record.notebooks import marks, pages
from nexus_reimport.runner import kernel_home
from nexus_reimport.runner.notebook import FOLDER, PREFLIGHT
from nexus_reimport.settings import Settings

_LOOKS_AGAIN = 0.2  # seconds
_HOME = ".home"  # of the server and its kernels
# Nothing asks another host (news, updates), and no kernel's channel is plain TCP.
_CONFIGURATION = """\
c = get_config()
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.terminals_enabled = False
c.KernelManager.transport_encryption = "required"
"""
# JupyterLab asks whether it may fetch news from another host, and asks node whether it is built.
_PAGE = b"""\
{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}, "buildCheck": false}
"""


@dataclass(frozen=True, slots=True)
class Lab:
    """Where the copies lie, and what starts JupyterLab on them."""

    folder: Path
    command: tuple[str, ...]
    variables: dict[str, str]

    def start(self) -> int:
        """Run JupyterLab until it is closed; the exit code. What it writes is the owner's alone.

        It answers Ctrl-C by a question: who has not saved a page would lose it.
        """
        before = os.umask(0o077)
        try:
            process = subprocess.Popen(self.command, env=self.variables)
            with left_to(process.pid):
                # Not ``wait``: a signal that comes just before that is heard once it has ended.
                while process.poll() is None:
                    time.sleep(_LOOKS_AGAIN)
            return ReimportError.exit_code if process.returncode else 0
        finally:
            os.umask(before)


def prepare(environment: str, *, browser: bool, port: int = 0) -> Lab:
    """Fresh copies of all pages for an environment, without outputs; JupyterLab is not started yet.

    Raises:
        SettingsError: no such environment, or no pages. Nothing was written.
        MappingError: the mapping has mistakes. Nothing was written.
        RecordError: other users can read the environment's folders. Nothing was written.
    """
    settings = environments.load(environment)
    shipped = sorted(FOLDER.glob("*.ipynb"))
    if not (FOLDER / f"{PREFLIGHT}.ipynb").is_file():
        raise SettingsError(
            "the runbook has no pages here",
            where=str(FOLDER),
            next="run from a checkout: the notebooks are not part of the installed package",
        )
    mappings.load_for(settings, environments.folder())
    access.require_private(settings)
    folder = _new_folder(settings)
    for page in shipped:
        private.write_new(folder / page.name, _as_copy(page))
    options: tuple[str, ...] = ("--ServerApp.root_dir", str(folder), "--port", str(port))
    options += ("--ServerApp.jpserver_extensions", "{'nexus_reimport.page': True}")
    options += () if browser else ("--no-browser",)
    # Jupyter refuses to start as root without it.
    options += ("--allow-root",) if os.geteuid() == 0 else ()
    command = (sys.executable, "-m", "nexus_reimport.runner.lab_server", *options)
    return Lab(folder, command, _variables(settings, folder))


def _new_folder(settings: Settings) -> Path:
    place = settings.private_folder / lab_pages.FOLDER
    private.close_folder(place.parent)
    # To the microsecond: two labs may be opened within a second.
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return private.new_folder(place / stamp)


def _as_copy(page: Path) -> bytes:
    import nbformat

    copy = nbformat.read(page, as_version=4)  # type: ignore[no-untyped-call]
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        elif cell.cell_type == "markdown":
            cell.source = pages.outside(cell.source)
    return str(nbformat.writes(copy)).encode()  # type: ignore[no-untyped-call]


def _variables(settings: Settings, folder: Path) -> dict[str, str]:
    home = private.new_folder(folder / _HOME)
    own = kernel_home.variables(home)
    config = private.make_folder(Path(own["JUPYTER_CONFIG_DIR"]))
    private.write_new(config / "jupyter_server_config.py", _CONFIGURATION.encode())
    shutil.copy(config / "jupyter_server_config.py", config / "jupyter_lab_config.py")
    private.write_new(private.make_folder(config / "labconfig") / "page_config.json", _PAGE)
    # The first two could bring a kernel of somebody else's.
    gone = ("JUPYTER_PATH", "JUPYTER_PREFER_ENV_PATH", marks.PAGE_VARIABLE)
    kept = {name: value for name, value in environ.variables().items() if name not in gone}
    named = {environments.ENVIRONMENT_VARIABLE: settings.name, marks.LAB_VARIABLE: str(folder)}
    named[environments.FOLDER_VARIABLE] = str(environments.folder().resolve())
    return {**kept, **own, **named}
