"""A record's signature with an SSH key, and whether it is one of the people who may sign.

What is signed is the tag manifest, which vouches for all else. ``ssh-keygen -Y`` does both, so that
an auditor needs nothing of ours. A key that asks for a passphrase is used through its agent.

Source: ssh-keygen(1), "-Y sign" and "ALLOWED SIGNERS".
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from nexus_reimport import environ
from nexus_reimport.errors import OnlySealed, refused
from nexus_reimport.files import private
from nexus_reimport.record.sealed import bag
from nexus_reimport.settings import Signing

NAMESPACE = "nexus-reimport-record"  # a signature for another purpose is none of a record
_SECONDS = 30
_UNSIGNED = "the record is sealed, without a signature"
_PASSED_ON = ("PATH", "HOME", "SSH_AUTH_SOCK")


class NotRun(Exception):
    """``ssh-keygen`` could not be run, or gave no answer; nothing is said of a signature."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(f"ssh-keygen could not be run ({why}): {fix}")
        self.fix = fix


def sign(signing: Signing, data: bytes) -> bytes:
    """The signature of ``data``.

    Raises:
        OnlySealed: the key cannot be used.
    """
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(signing.key), "-n", NAMESPACE]
    try:
        done = _run(command, data)
    except NotRun as error:
        raise OnlySealed(
            f"the record could not be signed: {error}",
            where=str(signing.key),
            state=_UNSIGNED,
            next=error.fix,
        ) from None
    if done.returncode != 0 or not done.stdout:
        raise OnlySealed(
            f"the record could not be signed with the key {signing.key.name}",
            where=str(signing.key),
            state=_UNSIGNED,
            next="look at [record.signature]: the key must be there and readable; one with a"
            " passphrase must be in the SSH agent",
        )
    return done.stdout


def missing(folder: Path, who: str) -> str:
    """That a record which says that ``who`` has signed it lacks the signature; "" where it is."""
    path = folder / bag.SIGNATURE
    if path.is_file() and not path.is_symlink():
        return ""
    return f"{bag.SIGNATURE}: missing, and the record says that {who} has signed it"


def problem(folder: Path, allowed_signers: Path) -> str:
    """Why the signature, which is there, is none of somebody who may sign; "" where it is.

    Raises:
        NotRun: it could not be compared.
    """
    who, path = bag.signer(folder), folder / bag.SIGNATURE
    if not allowed_signers.is_file():
        return f"{bag.SIGNATURE}: not checked: there is no file {allowed_signers.name}"
    data = (folder / bag.TAG_MANIFEST).read_bytes()
    given = ["-f", str(allowed_signers), "-I", who, "-n", NAMESPACE, "-s", str(path)]
    done = _run(["ssh-keygen", "-Y", "verify", *given], data)
    if done.returncode == 0:
        return ""
    return f"{bag.SIGNATURE}: it is no signature of {who} that {allowed_signers.name} allows now"


def write(folder: Path, signature: bytes) -> None:
    """Put the signature beside what it signs, on the disk when this returns."""
    private.replace(folder / bag.SIGNATURE, signature)


def _run(command: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    """The command, without a terminal to ask for a passphrase on."""
    environment = environ.some(_PASSED_ON)
    try:
        return subprocess.run(
            command,
            input=data,
            env=environment,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise NotRun("it is not there", "install OpenSSH's client programs") from None
    except OSError as error:
        raise NotRun(*refused(error)) from None
    except subprocess.TimeoutExpired:
        raise NotRun(f"no answer in {_SECONDS} s", "look at the SSH agent") from None
