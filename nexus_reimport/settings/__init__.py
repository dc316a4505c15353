"""Environments and secrets, read once.

An environment is one TOML file, ``runbook/environments/<name>.toml``. A secret is never in it: a
value ``{ env = "NAME" }`` is taken from the environment variable NAME, or from the git-ignored
file ``.env.<name>`` beside the TOML file, which must have mode 0600. No default names an
environment.

Everything else in the file is recorded and shown. So an address, a name or an argument that holds a
secret is refused.
"""

from nexus_reimport.settings import shared
from nexus_reimport.settings.environment import (
    BY_HAND_SHEET,
    Cause,
    Decision,
    Different,
    EntityDecisions,
    EnvironmentKind,
    Settings,
    Signing,
    Waiver,
    Write,
)
from nexus_reimport.settings.loading import (
    ENVIRONMENT_VARIABLE,
    FOLDER_VARIABLE,
    every,
    folder,
    load,
    load_to_ask,
    names,
    of_run,
    overridden,
)
from nexus_reimport.settings.servers import (
    S3,
    ApplicationAccess,
    Archive,
    Bucket,
    Channel,
    Encoding,
    ExportedFile,
    Exports,
    FileMaker,
    Postgres,
)
from nexus_reimport.settings.values import Strict
from nexus_reimport.settings.window import Window

__all__ = [
    "BY_HAND_SHEET",
    "ENVIRONMENT_VARIABLE",
    "FOLDER_VARIABLE",
    "S3",
    "ApplicationAccess",
    "Archive",
    "Bucket",
    "Cause",
    "Channel",
    "Decision",
    "Different",
    "Encoding",
    "EntityDecisions",
    "EnvironmentKind",
    "ExportedFile",
    "Exports",
    "FileMaker",
    "Postgres",
    "Settings",
    "Signing",
    "Strict",
    "Waiver",
    "Window",
    "Write",
    "every",
    "folder",
    "load",
    "load_to_ask",
    "names",
    "of_run",
    "overridden",
    "shared",
]
