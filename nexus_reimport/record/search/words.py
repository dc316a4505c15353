"""A file as one line of words, in the form in which identifiers are looked for.

Case, signs and escapes are folded: ``M\\u00fcller``, ``M&uuml;ller``, ``M%C3%BCller`` and
``MÜLLER`` are one word, and ``7/3/1984`` is three. Line ends stay as they are until then, so that a
word's line is known. Everything here is bytes in UTF-8, because a record can be large.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from nexus_reimport.files import textfile

_LETTERS = "".join(chr(c).lower() if chr(c).isalnum() else " " for c in range(128)).encode()
_TABLE = _LETTERS + bytes(range(128, 256))  # parts of letters beyond ASCII stay as they are
_BASE64 = re.compile(rb";base64,[A-Za-z0-9+/=]+")
# The numbers of a drawing are coordinates; its texts stand below it as text as well.
_PICTURE = re.compile(rb"<svg\b.*?</svg>", re.DOTALL)
_TAG = re.compile(rb"<[^<>]*>")
_NO_DIGITS = bytes.maketrans(b"0123456789", b" " * 10)
_BEYOND = re.compile(rb"[\x80-\xff]+")
_ENTITY = re.compile(rb"&(?:amp;)*(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
# Each begins with a character of its own, by which the places are found quickly.
_PERCENT = re.compile(rb"%(?:25)*[0-9A-Fa-f]{2}(?:%(?:25)*[0-9A-Fa-f]{2})*")
# As Python, JSON and JavaScript write a character in a literal, however often it was quoted.
_HEX = re.compile(rb"\\x[0-9A-Fa-f]{2}(?:\\+x[0-9A-Fa-f]{2})*")
_UNICODE = re.compile(rb"\\u[0-9A-Fa-f]{4}(?:\\+u[0-9A-Fa-f]{4})*")
_SLASHES = re.compile(rb"(?<!\\)\\\\++(?=[ux])")
_BLANKS = tuple(rb"\%c" % letter for letter in b"nrtfvb")
# What no text begins with: a file that holds one cannot be searched.
_NOT_TEXT = (b"PK\x03\x04", b"\x1f\x8b", b"PAR1", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"SQLite")


class NotText(Exception):
    """A file that holds no text, so that nobody can say what is in it."""


def read(path: Path) -> bytes:
    """A file's text in UTF-8.

    Raises:
        NotText: it is compressed, a picture, a database, or bytes of no known meaning.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    mark = textfile.marked(content)
    if mark and mark != "utf-8":
        try:
            return textfile.decoded(content, mark).encode("utf-8", "replace")
        except textfile.Undecodable:
            raise NotText from None
    if content.startswith(_NOT_TEXT) or b"\0" in content:
        raise NotText
    return content


def unescaped(content: bytes) -> bytes:
    """``content`` with escapes of JSON, Python, HTML and addresses read; line ends as they were.

    Of pictures the words stay, and not the coordinates; what is in base64 goes.
    """
    if b";base64," in content:
        content = _BASE64.sub(b" ", content)
    if b"<svg" in content:
        content = _PICTURE.sub(_words_of_picture, content)
    if b"<wbr>" in content:  # where a long name may go on in the next line: it is one name
        content = content.replace(b"<wbr>", b"")
    if b"\\" in content:
        for blank in _BLANKS:
            content = content.replace(blank, b" ")
        for sign in (b'"', b"'", b"/"):
            content = content.replace(b"\\" + sign, sign)
        content = _SLASHES.sub(rb"\\", content)
        content = _UNICODE.sub(_of_code_points, content)
        content = _HEX.sub(_of_hex, content)
    if b"&" in content:
        content = _ENTITY.sub(_of_entity, content)
    if b"%" in content:
        content = _PERCENT.sub(_of_hex, content)
    return content


def folded(content: bytes) -> bytes:
    """``content`` with case folded and a blank for every sign; its length may differ."""
    if not content.isascii():
        text = content.decode("utf-8", "replace")
        if not unicodedata.is_normalized("NFC", text):
            content = unicodedata.normalize("NFC", text).encode("utf-8", "replace")
        content = _BEYOND.sub(_fold_beyond, content)
    return content.translate(_TABLE)


def sequence(text: str) -> bytes:
    """A value as it stands in a line of words: words with one blank between and around them."""
    words = folded(text.encode("utf-8", "replace")).split()
    return b" " + b" ".join(words) + b" " if words else b""


def without_marks(text: str) -> str:
    """``text`` without accents, as programs write a name that they have no letters for."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if not unicodedata.combining(c))


# ---------------------------------------------------------------- escapes


def _words_of_picture(match: re.Match[bytes]) -> bytes:
    return _TAG.sub(lambda tag: tag[0].translate(_NO_DIGITS), match[0])


def _kept_in_line(text: str) -> bytes:
    return " ".join(text.splitlines()).encode("utf-8", "replace")


def _of_code_points(match: re.Match[bytes]) -> bytes:
    units = re.findall(rb"u(.{4})", match[0])
    text = bytes.fromhex(b"".join(units).decode()).decode("utf-16-be", "replace")
    return _kept_in_line(text)


def _of_hex(match: re.Match[bytes]) -> bytes:
    pairs = re.findall(rb"[0-9A-Fa-f]{2}", match[0].replace(b"%25", b"%"))
    raw = bytes.fromhex(b"".join(pairs).decode())
    try:
        return _kept_in_line(raw.decode())
    except UnicodeDecodeError:
        return _kept_in_line(raw.decode("cp1252", "replace"))


def _of_entity(match: re.Match[bytes]) -> bytes:
    return _named(match[1])


@lru_cache(maxsize=4096)
def _named(name: bytes) -> bytes:
    return _kept_in_line(html.unescape(f"&{name.decode()};"))


def _fold_beyond(match: re.Match[bytes]) -> bytes:
    return _beyond(match[0])


@lru_cache(maxsize=65536)
def _beyond(raw: bytes) -> bytes:
    text = unicodedata.normalize("NFC", raw.decode("utf-8", "replace").casefold())
    kept = "".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in text)
    return kept.encode("utf-8", "replace")
