"""A running made-up clinic: where it listens, and every key to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from nexus_reimport import CHECKOUT
from nexus_reimport.errors import SandboxError
from nexus_reimport.files import private
from nexus_sandbox.postgres.access import Postgres
from nexus_sandbox.s3.access import Storage
from nexus_sandbox.stack.state import SavedState

ENVIRONMENTS = ("dev", "prod")
OWNER = "nexus"  # the application's role: every table is its own
ROLE = "nexus_reimport"  # the reimport's role: it owns no table, and has the rights that it lists
_MADE_BY = "# made-up clinic: "
URL_OF_API = "NEXUS_SANDBOX_API_URL"
_OWN_ENVIRONMENTS = CHECKOUT / "runbook" / "environments"


def bucket(environment: str) -> str:
    """The bucket of "dev" or "prod"."""
    return f"walk-nexus-{environment}"


def database(environment: str) -> str:
    """The database of "dev" or "prod"."""
    return f"nexus_{environment}"


def template(environment: str) -> str:
    """The database that ``database`` is a copy of."""
    return f"nexus_{environment}_template"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running clinic, and every key to it. Printing it shows none."""

    folder: Path
    scale: float
    seed: int
    postgres: Postgres
    storage: Storage
    filemaker_port: int
    filemaker_password: str = field(repr=False)
    api_ports: dict[str, int] = field(default_factory=dict)
    api_password: str = field(default="", repr=False)

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The clinic of this folder as last started.

        Raises:
            SandboxError: there is none, or a part of it is missing.
        """
        kept = SavedState.at(folder)
        postgres, storage = Postgres.at(folder / "postgres"), Storage.at(folder / "s3")
        if kept is None or postgres is None or storage is None:
            raise SandboxError(
                "the folder has no made-up clinic",
                where=f"folder={folder}",
                state="nothing was changed",
                next="run nexus-reimport sandbox up",
            )
        return cls(
            folder=folder,
            scale=kept.scale,
            seed=kept.seed,
            postgres=postgres,
            storage=storage,
            filemaker_port=kept.filemaker_port,
            filemaker_password=kept.filemaker_password,
            api_ports=kept.api_ports if kept.has_api else {},
            api_password=kept.api_password,
        )

    @property
    def postgres_port(self) -> int:
        """Where PostgreSQL listens, on 127.0.0.1."""
        return self.postgres.port

    @property
    def s3_port(self) -> int:
        """Where S3 listens, on 127.0.0.1."""
        return self.storage.ports["s3"]

    @property
    def filemaker_url(self) -> str:
        """Where FileMaker listens."""
        return f"http://127.0.0.1:{self.filemaker_port}"

    def dsn(self, database: str) -> str:
        """The way into ``nexus_dev`` or ``nexus_prod`` as the role that owns them."""
        return self.postgres.dsn(database, OWNER)

    def environment(self, name: str = "dev") -> dict[str, str]:
        """The secrets of the sandbox's environments, by the names that their settings use."""
        api = {}
        if port := self.api_ports.get(name):
            api = {
                URL_OF_API: f"http://127.0.0.1:{port}",
                "NEXUS_SANDBOX_API_PASSWORD": self.api_password,
            }
        return api | {
            "NEXUS_SANDBOX_PG_PORT": str(self.postgres_port),
            "NEXUS_SANDBOX_PG_PASSWORD": self.postgres.passwords[ROLE],
            "NEXUS_SANDBOX_FILEMAKER_URL": self.filemaker_url,
            "NEXUS_SANDBOX_FILEMAKER_PASSWORD": self.filemaker_password,
            "NEXUS_SANDBOX_S3_ENDPOINT": self.storage.endpoint,
            "NEXUS_SANDBOX_S3_ACCESS_KEY": self.storage.access_key,
            "NEXUS_SANDBOX_S3_SECRET_KEY": self.storage.secret_key,
        }

    @staticmethod
    def wants_api(environments: Path | None) -> bool:
        """Whether an environment's file of the sandbox names Nexus's API, outside of comments."""
        folder = environments or _OWN_ENVIRONMENTS
        files = [folder / f"sandbox-{name}.toml" for name in ENVIRONMENTS]
        lines = (line for file in files if file.is_file() for line in file.open(encoding="utf-8"))
        return any(URL_OF_API in line and not line.lstrip().startswith("#") for line in lines)

    @staticmethod
    def folder_of(environments: Path | None) -> Path | None:
        """The folder of the clinic to which the environments lead; None where they lead nowhere."""
        folder = environments or _OWN_ENVIRONMENTS
        path = folder / f".env.sandbox-{ENVIRONMENTS[0]}"
        first = path.read_text(encoding="utf-8").partition("\n")[0] if path.is_file() else ""
        return Path(first.removeprefix(_MADE_BY)) if first.startswith(_MADE_BY) else None

    def write_secrets(self, environments: Path | None) -> None:
        """Write ``.env.sandbox-dev`` and ``.env.sandbox-prod``, of mode 0600.

        Into the folder that is named, else into the checkout's own; where the package was installed
        without a checkout, nowhere.
        """
        folder = environments or _OWN_ENVIRONMENTS
        if environments is None and not folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        for environment in ENVIRONMENTS:
            held = self.environment(environment)
            text = "".join(f"{name}={value}\n" for name, value in held.items())
            text = f"{_MADE_BY}{self.folder}\n{text}"
            private.replace(folder / f".env.sandbox-{environment}", text.encode())
