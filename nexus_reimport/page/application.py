"""The page as an application of ``jupyter_server``: served alone, or beside JupyterLab."""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment
from jupyter_server.extension.application import ExtensionApp, ExtensionAppJinjaMixin
from jupyter_server.serverapp import ServerApp
from traitlets import Bool, Unicode, default

from nexus_reimport import settings as environments
from nexus_reimport.errors import SettingsError
from nexus_reimport.files import private
from nexus_reimport.page import handlers, live, run_pages, words
from nexus_reimport.page.desk import Desk
from nexus_reimport.settings import ENVIRONMENT_VARIABLE

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?:/[A-Za-z0-9._~-]+)*/?")
LARGEST_FORM = 1 << 20  # bytes of a request: whoever is not let in could fill the memory with more


class PageServer(ServerApp):
    """A server that has nothing but the page: no kernel, no file, no terminal can be asked for."""

    default_services = ("auth",)  # type: ignore[assignment]


class DataManagement(ExtensionAppJinjaMixin, ExtensionApp):
    """``/settings/data-management`` of one environment."""

    name = "data_management"
    extension_url = handlers.PATH
    load_other_extensions = False
    serverapp_class = PageServer
    serverapp_config = {
        "identity_provider_class": "nexus_reimport.page.identity.Identity",
        "open_browser": False,
        "port_retries": 0,
        "answer_yes": True,  # Ctrl-C asks nothing: no run is stopped by it
    }
    say: ClassVar[Callable[[str], None] | None] = None  # of the command that serves it alone
    environment = Unicode(help="The environment that the page is for.").tag(config=True)
    open_browser = Bool(False).tag(config=True)

    @default("environment")
    def _environment(self) -> str:
        return os.environ.get(ENVIRONMENT_VARIABLE, "")

    @default("static_paths")
    def _static_paths(self) -> list[str]:
        return [str(HERE / "static")]

    @default("template_paths")
    def _template_paths(self) -> list[str]:
        return [str(HERE / "templates")]

    @default("static_url_prefix")
    def _static_url_prefix(self) -> str:
        return f"{self.address}/static/"

    @property
    def address(self) -> str:
        """Where the page is, on its own server or beside JupyterLab."""
        base: str = self.serverapp.base_url if self.serverapp else "/"
        return f"{base.rstrip('/')}{handlers.PATH}"

    def asset(self, name: str) -> str:
        """Where a file of ours is served; another content has another address."""
        digest = private.sha256_of(HERE / "static" / name)
        return f"{self.static_url_prefix}{name}?v={digest[:12]}"

    @classmethod
    def get_extension_package(cls) -> str:
        """The package by whose name ``jupyter_server`` loads it."""
        return "nexus_reimport.page"

    def initialize_settings(self) -> None:
        """One desk for all requests."""
        self.desk = Desk(self.environment)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """The server listens: tell whoever started it where."""
        if DataManagement.say:
            DataManagement.say(f"{self.environment}: {serverapp.public_url}")
            DataManagement.say("Ctrl-C stops the page. A run that was started there goes on.")

    def initialize_handlers(self) -> None:
        """The page's own addresses."""
        routes = [*handlers.ROUTES, *live.ROUTES, *run_pages.ROUTES]
        self.handlers.extend([*routes, handlers.NOTHING])
        environment: Environment = self.settings[f"{self.name}_jinja2_env"]
        environment.filters.update(words.FILTERS)
        environment.trim_blocks = environment.lstrip_blocks = True


def serve(environment: str, port: int, behind: str, say: Callable[[str], None]) -> None:
    """Serve the page on loopback until it is interrupted.

    ``behind`` is the name of the host whose proxy passes requests on to it, and the path before
    the page's own, if there is one: ``nexus.clinic.example/nexus``. ``say`` hears where the page
    is.

    Raises:
        SettingsError: the environment cannot be loaded, or the port is taken. Nothing was started.
    """
    settings = environments.load(environment)
    _refuse_no_host(behind)
    _refuse_taken(port)
    DataManagement.say = say
    given = {
        "DataManagement.environment": settings.name,
        "ServerApp.ip": LOOPBACK,
        "ServerApp.port": port,
        "ServerApp.allow_root": True,  # no kernel runs here
        "ServerApp.root_dir": str(HERE / "static"),
        "ServerApp.log_level": logging.WARNING,
        "ServerApp.max_body_size": LARGEST_FORM,
        "ServerApp.max_buffer_size": LARGEST_FORM,
    }
    if behind:
        host, _, prefix = behind.partition("/")
        given |= {"ServerApp.local_hostnames": f"['{host}', 'localhost']"}
        given |= {"ServerApp.base_url": f"/{prefix}"}
        given |= {"ServerApp.trust_xheaders": True}
    argv = [f"--{name}={value}" for name, value in given.items()]
    DataManagement.launch_instance(argv=argv)  # type: ignore[no-untyped-call]


def _refuse_no_host(behind: str) -> None:
    """An address in the place of a name would be no browser's host: the page answered nobody."""
    if behind and not _HOST.fullmatch(behind):
        raise SettingsError(
            "--behind is not the name of a host",
            state="nothing was started",
            next="write the name without https:// and port: nexus.clinic.example; with a path, if"
            " the page's own follows one there: nexus.clinic.example/nexus",
        )


def _refuse_taken(port: int) -> None:
    with socket.socket() as tried:
        # A port that our last server has just left is free, as the server itself will take it.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(
                    f"port {port} cannot be used: {error.strerror}",
                    where=LOOPBACK,
                    state="nothing was started",
                    next="give another one, above 1023: --port",
                ) from None
            raise SettingsError(
                f"port {port} is taken by another program",
                where=LOOPBACK,
                state="nothing was started",
                next="give another one: --port",
            ) from None
