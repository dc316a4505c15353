"""What a value of an environment's file may be: secrets, addresses, hosts, commands."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr

from nexus_reimport.settings import credentials


class FromEnvironment(str):
    """Text that came from an environment variable. A secret is accepted in no other form."""

    __slots__ = ()


def _only_from_environment(value: object) -> object:
    if not isinstance(value, FromEnvironment):
        raise ValueError('write { env = "NAME" } instead: this file must not hold a secret')
    return str(value)


def _never_from_environment(value: object) -> object:
    if isinstance(value, list | tuple) and any(isinstance(v, FromEnvironment) for v in value):
        raise ValueError(credentials.NOT_IN_ARGUMENTS)
    return value


Secret = Annotated[SecretStr, BeforeValidator(_only_from_environment)]
Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_never_from_environment),
    AfterValidator(credentials.arguments),
]
Address = Annotated[str, AfterValidator(credentials.address)]
Host = Annotated[str, AfterValidator(credentials.host)]
Name = Annotated[str, AfterValidator(credentials.name)]


def _certificates(path: Path) -> Path:
    # Opened when the settings are read, so that a wrong file is found before the run begins.
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:  # an SSLError is one
        reason = (
            "holds no certificate (PEM)"
            if error.strerror is None or isinstance(error, ssl.SSLError)
            else f"cannot be read: {error.strerror}"
        )
        raise ValueError(f"the file of the certificate authority {reason}") from None
    return path


Authority = Annotated[Path, AfterValidator(_certificates)]


class Strict(BaseModel):
    """A frozen part of a file: unknown names are errors, and no error repeats a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
