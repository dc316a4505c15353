"""Where a login may be written, and where it may not.

Secrets come from environment variables and from the file ``.env.<name>``. Addresses, names and
arguments are recorded and shown: one that looks as if it held a login is refused. No message of
this module repeats any part of the text that it refuses.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from nexus_reimport.files import textfile

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NOT_IN_ARGUMENTS = "arguments are recorded and shown: they must not hold a secret"
_WORD = (
    r"(?:password|passwd|passphrase|passcode|secret|token|signature|credentials?|cookie"
    r"|authorization|api[-_]?key|access[-_]?key|private[-_]?key|secret[-_]?key"
    r"|\b(?:pass|pwd|sig|auth)\b)"
)
# A password in an address: user:password@host. %40 is the @ of a password that was encoded.
_LOGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]*(?:@|%40)", re.IGNORECASE)
# password = …, token: …
_NAMED = re.compile(rf"{_WORD}\s*[=:]\s*\S", re.IGNORECASE)
# --password, --db-password: the words of a command can be seen by every user of the machine.
_OPTION = re.compile(rf"--?(?:\w+-)*{_WORD}", re.IGNORECASE)
# Secrets that name themselves: a private key, a key of Amazon's, a JSON Web Token.
_BARE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\beyJ[\w-]{8,}\.[\w-]{8,}\."
)
# Options of frequent programs that take a login, although their names do not say so.
_LOGIN_OPTIONS = {"curl": ("-u", "--user"), "sshpass": ("-p",)}
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+(?:%\w+)?", re.ASCII | re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\[(.*:.*)\]")  # as an address writes IPv6, and libpq does not
_HOST_AND_PORT = re.compile(r"(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?", re.ASCII | re.IGNORECASE)
# The folder of a Unix socket: no question mark, @ or = can add a setting to it.
_SOCKET = re.compile(r"/[^?#@=\s]*")
_DEFAULT_PORT = re.compile(r"^(?:(https://[^/]*):443|(http://[^/]*):80)(?=/|$)")
_THIS_MACHINE = re.compile(
    rf"//(?:{'|'.join(re.escape(f'[{h}]' if ':' in h else h) for h in LOOPBACK)})(?=[:/]|$)"
)
_AMAZON = ".amazonaws.com"
_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(.*)", re.ASCII)


def suspected(text: str) -> bool:
    """Whether ``text`` holds an address with a login in it, or a known form of key or token."""
    if _LOGIN.search(text) or _BARE.search(text):
        return True
    return "://" in text and _NAMED.search(text) is not None


def address(url: str) -> str:
    """``url`` without a last slash: ``https://``, a host, and a path at most.

    Raises:
        ValueError: it is something else. The library's own error is dropped: it quotes the text.
    """
    if re.search(r"[@?#;]", url) or suspected(url):
        raise ValueError(
            "an address is recorded and shown: it must not hold a user, a password, or anything"
            " after ? or #; user and password have their own settings"
        )
    try:
        parts = urlsplit(url)
        is_valid = not url or (_HOST_AND_PORT.fullmatch(parts.netloc) and parts.port != 0)
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError("is not an address; write one like https://filemaker.example")
    if url and not is_protected(parts):
        raise ValueError("must start with https:// (http:// only on loopback)")
    return url.rstrip("/")


def is_protected(parts: SplitResult) -> bool:
    """Whether nobody can read what is sent to an address: encrypted, or on loopback."""
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def is_local(url: str) -> bool:
    """Whether an address is one of this machine alone."""
    return urlsplit(url).hostname in LOOPBACK


def is_own_host(name: str) -> bool:
    """Whether a host of PostgreSQL is this machine, or a socket on it."""
    return name in LOOPBACK or name.startswith("/")


def as_compared(url: str) -> str:
    """An address, however it is spelt."""
    text = _DEFAULT_PORT.sub(lambda it: it[1] or it[2], url.rstrip("/").lower())
    return _THIS_MACHINE.sub("//127.0.0.1", text)


def bucket(name: str, endpoint: str) -> str:
    """A bucket and where it is. Of Amazon's no two have one name, whatever the region."""
    at = as_compared(endpoint)
    return name + (f" at {at}" if at and _AMAZON not in at else "")


def host(name: str) -> str:
    """``name``, if it is one host or the folder of a socket; an IPv6 address without brackets.

    libpq would take an address with options, a login among them, in its place.
    """
    if bracketed := _IN_BRACKETS.fullmatch(name):
        name = bracketed[1]
    if not (_SOCKET if name.startswith("/") else _HOST).fullmatch(name):
        raise ValueError(
            "must be the name or address of one host, or the folder of a socket:"
            " user, password, port and options have their own settings"
        )
    return name


def name(text: str) -> str:
    """``text``, if no driver can take it for an address with a login in it."""
    if suspected(text) or re.search(r"://|=|^\w+:", text):
        raise ValueError("must be a name only: user and password have their own settings")
    return text


def arguments(command: tuple[str, ...]) -> tuple[str, ...]:
    """``command``, if none of its arguments looks like a login or names one."""
    logins = _LOGIN_OPTIONS.get(command[0].rpartition("/")[2], ()) if command else ()
    for argument, following in zip(command, (*command[1:], ""), strict=False):
        names_login = following and (_OPTION.fullmatch(argument) or argument in logins)
        if names_login or suspected(argument) or _NAMED.search(argument):
            raise ValueError(NOT_IN_ARGUMENTS)
    return command


def read(path: Path, values: dict[str, str]) -> Iterator[str]:
    """Read the ``NAME=value`` lines of ``path`` into ``values``, and give the problems.

    A line that begins with ``#`` is a comment; ``export`` may come before a name. A missing file
    holds nothing.
    """
    if not path.exists():
        return
    if not path.is_file():
        yield f"{path.name}: is not a file"
    elif path.stat().st_uid != os.geteuid():
        yield (
            f"{path.name}: it belongs to another user, who can read and change it; run"
            f' sudo chown "$(id -un)" {shlex.quote(str(path))}'
        )
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield f"{path.name}: other users can read it; run chmod 600 {shlex.quote(str(path))}"
    else:
        try:
            text = textfile.read(path)
        except textfile.Undecodable as error:
            yield error.message(path)
        except OSError as error:
            yield f"{path.name}: cannot be read: {error.strerror}"
        else:
            for number, problem in _assignments(text, values):
                yield f"{path.name}, line {number:,}: {problem}"


def _assignments(text: str, values: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Read line by line into ``values``, and give number and problem of each wrong line."""
    lines: dict[str, int] = {}
    for number, line in enumerate(textfile.LINE_END.split(text), 1):
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(stripped)
        if not match:
            yield number, "is not NAME=value"
            continue
        try:
            values[match[1]] = _value(match[2])
        except ValueError as error:
            yield number, str(error)
        if match[1] in lines:
            yield number, f"{match[1]} is also set in line {lines[match[1]]:,}; keep one of them"
        lines[match[1]] = number


def _value(written: str) -> str:
    """The value after ``NAME=``.

    In quotes it ends at the next such quote, and only a comment may follow; without quotes it ends
    with the line. There are no escapes: programs read such files in different ways, so whatever
    could be read in two ways is refused.

    Raises:
        ValueError: it is not clear where the value ends. No part of a password is ever cut off.
    """
    if written[:1] in ("'", '"'):
        value, closing, after = written[1:].partition(written[0])
        if not closing:
            raise ValueError("the value begins with a quote that is not closed")
        if after.strip(" \t") and not re.match(r"[ \t]+#", after):
            raise ValueError("the value continues after its closing quote; use the other quotes")
        return value
    if re.search(r"(?:^|[ \t])#", written):
        raise ValueError(
            "# may begin a comment: put the value in quotes, or the comment on its own line"
        )
    return written
