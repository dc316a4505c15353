"""A record as a BagIt bag (RFC 8493): what lies under ``data/``, and the files that vouch for it.

``manifest-sha256.txt`` has the hash of every file under ``data/``, ``tagmanifest-sha256.txt`` that
of the manifest and of all else at the top. The latter is written last: a record is sealed exactly
if it is there, and its own hash is the seal. ``sha256sum -c`` checks both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nexus_reimport import wording
from nexus_reimport.files import private

PAYLOAD = "data"
DECLARATION, INFO, README = "bagit.txt", "bag-info.txt", "README.txt"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
SIGNATURE = f"{TAG_MANIFEST}.sig"
ENVIRONMENT = "environment.json"  # its settings without secrets; which run a rollback undoes
SIGNED = "Signed-By"  # in bag-info.txt: whose signature lies beside it
NOT_SIGNED = "Not-Signed"  # in bag-info.txt: why a record that should be signed is not
TAG_FILES = (DECLARATION, INFO, MANIFEST, README)  # what the tag manifest vouches for
DECLARED = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_DRAFT = re.compile(r"[\w.-]+\.\d+\.\d+\.new", re.ASCII)  # as ``private.replace`` calls them
SEALING = 60.0  # seconds that a seal may take, with the search of all files
NOTHING = "none"  # in place of a record before the first
LINKED = "it has another name elsewhere (a hard link), by which it can be changed"
# As sha256sum writes it: a blank or * before the name, for text or binary mode.
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_ESCAPED = {"%": "%25", "\n": "%0A", "\r": "%0D"}  # RFC 8493, 2.1.3


def is_sealed(bag: Path) -> bool:
    """Whether the record is closed for good."""
    return os.path.lexists(bag / TAG_MANIFEST)


def digest(bag: Path) -> str:
    """The seal: the hash of the tag manifest; "" while the record is open.

    Raises:
        OSError: it cannot be read. It may be sealed all the same.
    """
    path = bag / TAG_MANIFEST
    return private.sha256_of(path) if path.is_file() and not path.is_symlink() else ""


# ---------------------------------------------------------------- what lies in a folder


@dataclass(frozen=True, slots=True)
class Contents:
    """The files below a folder by their paths, and what else is there that no bag can hold."""

    files: frozenset[str]
    odd: Mapping[str, str]  # path -> what it is; a file too that has another name elsewhere


def contents(bag: Path) -> Contents:
    """What lies in the payload, by its path in the bag. No link is followed."""
    files: set[str] = set()
    odd = {PAYLOAD: "a symbolic link"} if (bag / PAYLOAD).is_symlink() else {}
    for path in _everything(bag / PAYLOAD):
        name = path.relative_to(bag).as_posix()
        if path.is_symlink():
            odd[name] = "a symbolic link"
        elif path.is_file():
            files.add(name)
            if private.has_other_name(path):
                odd[name] = LINKED
        elif not path.is_dir():
            odd[name] = "not a file"
        elif not any(path.iterdir()):
            odd[name] = "an empty folder"
    return Contents(frozenset(files), odd)


def linked(folder: Path) -> list[str]:
    """The files in a folder, not below it, that have another name elsewhere."""
    return sorted(path.name for path in folder.iterdir() if private.has_other_name(path))


def top(bag: Path) -> frozenset[str]:
    """The names of all that lies at the top of the bag, beside its payload."""
    return frozenset(path.name for path in bag.iterdir() if path.name != PAYLOAD)


def _everything(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder):
        yield from (Path(at, name) for name in (*folders, *files))


# ---------------------------------------------------------------- written


def close_payload(bag: Path) -> dict[str, str]:
    """The hash of every file of the payload, each on the disk and its owner's alone.

    Empty folders are taken away. A file that has another name elsewhere becomes one of its own.
    """
    _remove_empty_folders(bag / PAYLOAD)
    hashes = {}
    for name in sorted(contents(bag).files):
        if private.has_other_name(bag / name):
            private.replace(bag / name, (bag / name).read_bytes())
        hashes[name] = private.sha256_of(bag / name)
        (bag / name).chmod(private.FILE)
        private.sync_path(bag / name)
    for at, _, _ in os.walk(bag / PAYLOAD):
        private.close_folder(Path(at))
        private.sync_path(Path(at))
    return hashes


def _remove_empty_folders(payload: Path) -> None:
    for at, _, _ in os.walk(payload, topdown=False):
        folder = Path(at)
        if folder != payload and not any(folder.iterdir()):
            folder.rmdir()


def clear(bag: Path) -> None:
    """Take away what a seal that was cut short has left at the top."""
    for name in top(bag):
        if name.startswith((*TAG_FILES, TAG_MANIFEST)):
            (bag / name).unlink()


def clear_drafts(folder: Path) -> None:
    """Take away drafts of the files in a folder that a kill has left."""
    for path in folder.iterdir():
        if _DRAFT.fullmatch(path.name) and not path.is_dir():
            path.unlink()


def write(bag: Path, name: str, text: str) -> None:
    """One file at the top that was not there, on the disk when this returns."""
    private.write_new(bag / name, text.encode())


def manifest_text(hashes: Mapping[str, str]) -> str:
    """A manifest, as ``sha256sum -c`` reads it."""
    return "".join(f"{hashes[name]}  {_escaped(name)}\n" for name in sorted(hashes))


def tag_manifest_text(bag: Path) -> str:
    """The tag manifest of the files that are at the top now."""
    return manifest_text({name: private.sha256_of(bag / name) for name in TAG_FILES})


def info_text(facts: Mapping[str, object]) -> str:
    """``bag-info.txt``: one line for each fact."""
    return "".join(f"{label}: {' '.join(str(fact).split())}\n" for label, fact in facts.items())


def misread(bag: Path) -> list[str]:
    """The files of the payload whose names no manifest gives back as they are, to every software.

    Those that are not UTF-8, that hold ``%``, with which a manifest escapes, or end with a blank.
    """
    return sorted(
        name
        for name in contents(bag).files
        if "%" in name or name != name.rstrip() or not _is_utf8(name)
    )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def size(bag: Path, names: Mapping[str, str]) -> str:
    """``Payload-Oxum``: bytes and files."""
    return f"{sum((bag / name).stat().st_size for name in names)}.{len(names)}"


# ---------------------------------------------------------------- read


def info(bag: Path) -> dict[str, str]:
    """What ``bag-info.txt`` says; empty where it is missing.

    A line that begins with a blank continues the one before it.

    Raises:
        OSError: it cannot be read.
    """
    return dict(_facts(bag))


def signer(bag: Path) -> str:
    """Who has signed the record, as it says itself; "" where nobody has."""
    who = info(bag).get(SIGNED, NOTHING)
    return "" if who == NOTHING else who


def _facts(bag: Path) -> list[tuple[str, str]]:
    is_there = _is_file(bag / INFO)
    text = (bag / INFO).read_text(encoding="utf-8", errors="replace") if is_there else ""
    joined = re.sub(r"\n[ \t]+", " ", text)
    parts = (line.partition(":") for line in joined.splitlines())
    return [(label.strip(), fact.strip()) for label, colon, fact in parts if colon]


def hashes(bag: Path, name: str) -> tuple[dict[str, str], list[str]]:
    """Path -> hash as the manifest ``name`` has them, and what is wrong with the manifest."""
    path = bag / name
    if path.is_symlink() or not path.is_file():
        return {}, [f"{name}: missing"]
    by_path: dict[str, str] = {}
    wrong = []
    text = path.read_bytes().decode("utf-8", errors="replace")
    for number, line in enumerate(text.split("\n")[:-1] if text.endswith("\n") else [text], 1):
        match = _LINE.fullmatch(line)
        if match is None or (path_in_bag := _unescaped(match[2])) in by_path:
            wrong.append(f"{name}: line {number} cannot be read")
        else:
            by_path[path_in_bag] = match[1]
    return by_path, wrong


def _escaped(name: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in name)


def _unescaped(name: str) -> str:
    for character, escaped in reversed(_ESCAPED.items()):
        name = name.replace(escaped, character)
    return name


def changed(bag: Path, files: Iterable[str]) -> frozenset[str]:
    """Those of these files that are not as they were sealed; none of an open record."""
    if not is_sealed(bag):
        return frozenset()
    tags = hashes(bag, TAG_MANIFEST)[0]
    payload = hashes(bag, MANIFEST)[0] if _is_same(bag, MANIFEST, tags) else {}
    of_payload = f"{PAYLOAD}/"
    return frozenset(
        name
        for name in files
        if not _is_same(bag, name, payload if name.startswith(of_payload) else tags)
    )


def _is_same(bag: Path, name: str, then: Mapping[str, str]) -> bool:
    return _is_file(bag / name) and private.sha256_of(bag / name) == then.get(name)


def problems(bag: Path) -> list[str]:
    """What of a sealed bag is not as it was sealed: changed, missing, added, odd."""
    if not is_sealed(bag):
        return ["not sealed"]
    tags, wrong = hashes(bag, TAG_MANIFEST)
    findings = [*wrong]
    if set(tags) != set(TAG_FILES):
        findings.append(f"{TAG_MANIFEST}: it does not name the files that it must")
    beside = {TAG_MANIFEST} | ({SIGNATURE} if signer(bag) else set())
    findings += _compared(bag, tags, top(bag) - beside)
    if (bag / DECLARATION).is_file() and (bag / DECLARATION).read_bytes() != DECLARED.encode():
        findings.append(f"{DECLARATION}: it does not declare a bag of this form")
    labels = [label.casefold() for label, _ in _facts(bag)]  # a bag reads both as one
    findings += [
        f"{INFO}: {label} is told twice" for label in sorted(set(labels)) if labels.count(label) > 1
    ]
    payload, wrong = hashes(bag, MANIFEST)
    stored = contents(bag)
    findings += wrong if _is_file(bag / MANIFEST) else []  # one that is missing is told already
    findings += _compared(bag, payload, stored.files)
    odd = {**dict.fromkeys(linked(bag), LINKED), **stored.odd}
    findings += [f"{name}: {what}" for name, what in sorted(odd.items())]
    return [*map(wording.name_of_file, findings)] or _wrong_size(bag, payload)


def _compared(bag: Path, then: Mapping[str, str], now: frozenset[str]) -> list[str]:
    """Files against the hashes of a manifest. What is no file is missing as one."""
    files = {name for name in now if _is_file(bag / name)}
    findings = [f"{name}: missing" for name in sorted(then.keys() - files)]
    findings += [f"{name}: added after the seal" for name in sorted(now - then.keys())]
    findings += [
        f"{name}: changed after the seal"
        for name in sorted(files & then.keys())
        if private.sha256_of(bag / name) != then[name]
    ]
    return findings


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _wrong_size(bag: Path, payload: Mapping[str, str]) -> list[str]:
    oxum = info(bag).get("Payload-Oxum", "")
    existing = {name: seal for name, seal in payload.items() if _is_file(bag / name)}
    if oxum == size(bag, existing):
        return []
    return [f"{INFO}: Payload-Oxum is {oxum or 'missing'}, and the files are {size(bag, existing)}"]
