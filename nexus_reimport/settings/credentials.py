"""Where a login may stand, and where it may not.

Secrets come from environment variables and from the file ``.env.<name>``. Addresses, names and
arguments are recorded and shown: one that holds what looks like a login is refused. No message of
this module repeats anything of what was looked at.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from nexus_reimport.files import textfile

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NOT_IN_ARGUMENTS = "an argument is recorded and shown: a secret has no place in it"
_WORD = (
    r"(?:password|passwd|passphrase|passcode|secret|token|signature|credentials?|cookie"
    r"|authorization|api[-_]?key|access[-_]?key|private[-_]?key|secret[-_]?key"
    r"|\b(?:pass|pwd|sig|auth)\b)"
)
_LOGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]*(?:@|%40)", re.IGNORECASE)
_NAMED = re.compile(rf"{_WORD}\s*[=:]\s*\S", re.IGNORECASE)
_OPTION = re.compile(rf"--?(?:\w+-)*{_WORD}", re.IGNORECASE)
_BARE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\beyJ[\w-]{8,}\.[\w-]{8,}\."
)
_LOGIN_OPTIONS = {"curl": ("-u", "--user"), "sshpass": ("-p",)}
_HOST = re.compile(r"[\w.-]+|\[?[0-9a-f:.]+(?:%\w+)?\]?", re.ASCII | re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?", re.ASCII | re.IGNORECASE)
_SOCKET = re.compile(r"/[^?#@=\s]*")
_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(.*)", re.ASCII)


def suspected(text: str) -> bool:
    """Whether ``text`` holds an address with a login in it, or what is plainly a key or a token."""
    if _LOGIN.search(text) or _BARE.search(text):
        return True
    return "://" in text and _NAMED.search(text) is not None


def address(url: str) -> str:
    """``url`` without a last slash: ``https://``, a host, and a path at most.

    Raises:
        ValueError: it is another thing. The library's own errors are not let through: they quote.
    """
    if re.search(r"[@?#;]", url) or suspected(url):
        raise ValueError(
            "an address is recorded and shown: it may hold no user, no password, and nothing after"
            " ? or #; user and password have settings of their own"
        )
    try:
        parts = urlsplit(url)
        is_one = not url or (_HOST_AND_PORT.fullmatch(parts.netloc) and parts.port != 0)
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("is no address; write one like https://filemaker.example")
    if url and not is_protected(parts):
        raise ValueError("must start with https:// (http:// only on loopback)")
    return url.rstrip("/")


def is_protected(parts: SplitResult) -> bool:
    """Whether what goes to an address cannot be read on its way: encrypted, or on loopback."""
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def host(name: str) -> str:
    """``name``, which is one host or the folder of a socket, and no address with options."""
    if not (_SOCKET if name.startswith("/") else _HOST).fullmatch(name):
        raise ValueError(
            "must be the name or address of one host, or the folder of a socket:"
            " user, password, port and options have settings of their own"
        )
    return name


def name(text: str) -> str:
    """``text``, which no driver takes for an address with a login in it."""
    if suspected(text) or re.search(r"://|=|^\w+:", text):
        raise ValueError("must be a name alone: a login has settings of its own")
    return text


def arguments(command: tuple[str, ...]) -> tuple[str, ...]:
    """``command``, none of whose arguments looks like a login, or like the name of one."""
    logins = _LOGIN_OPTIONS.get(command[0].rpartition("/")[2], ()) if command else ()
    for argument, following in zip(command, (*command[1:], ""), strict=False):
        told = following and (_OPTION.fullmatch(argument) or argument in logins)
        if told or suspected(argument) or _NAMED.search(argument):
            raise ValueError(NOT_IN_ARGUMENTS)
    return command


def read(path: Path, values: dict[str, str]) -> Iterator[str]:
    """Read the ``NAME=value`` lines of ``path`` into ``values``; gives what is wrong with it.

    A line that begins with ``#`` is a comment, ``export`` may stand before a name. A file that is
    not there holds nothing.
    """
    if not path.exists():
        return
    if not path.is_file():
        yield f"{path.name}: is no file"
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield f"{path.name}: others can read it; chmod 600 {path.name}"
    else:
        try:
            text = textfile.read(path)
        except textfile.Undecodable as error:
            yield error.told(path)
        except OSError as error:
            yield f"{path.name}: cannot be read: {error.strerror}"
        else:
            for number, problem in _assignments(text, values):
                yield f"{path.name}, line {number:,}: {problem}"


def _assignments(text: str, values: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Line by line into ``values``; the lines that are wrong, and how."""
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
            yield number, f"{match[1]} is set by line {lines[match[1]]:,} too; keep one of them"
        lines[match[1]] = number


def _value(written: str) -> str:
    """What stands after ``NAME=``.

    In quotes it ends at the next such quote, and only a comment may follow; else it ends with its
    line. No character stands for another, within quotes or without.

    Raises:
        ValueError: it cannot be told where it ends. Nothing is ever cut off a password.
    """
    if written[:1] in ("'", '"'):
        value, closing, after = written[1:].partition(written[0])
        if not closing:
            raise ValueError("the value begins with a quote that is not closed")
        if after.strip(" \t") and not re.match(r"[ \t]+#", after):
            raise ValueError("the value goes on after its closing quote; take the other quotes")
        return value
    if re.search(r"(?:^|[ \t])#", written):
        raise ValueError(
            "is what follows # a comment? Put the value in quotes, or the comment on its own line"
        )
    return written
