"""The chain of an environment's records: numbered, and each seal holds the seal before it.

The order is the number, never a clock. What was sealed last stands in a file beside the records
too, written before the record's own last file: so a last record that was taken away, or invented,
is noticed, and a seal that a kill cut short in between is finished exactly as it was meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nexus_reimport.files import private
from nexus_reimport.record.sealed import bag

LAST = ".last_seal"  # in the environment's folder
_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_LARGEST = 10**18 - 2  # of a note: the number after it is one too
_SEAL = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    """One sealed record's place in the chain."""

    sequence: int
    run: str
    seal: str


def of(folder: Path) -> Link | None:
    """The place of the record in ``folder``; None while it is open, or where it has no number."""
    sequence, seal = number(folder), bag.digest(folder)
    return Link(sequence, folder.name, seal) if seal and sequence else None


def before(folder: Path) -> Link | None:
    """The place that the record in ``folder`` says was the one before; None for the first."""
    info = bag.info(folder)
    run, sequence = info.get("Record-Before", bag.NOTHING), _number(info)
    if run == bag.NOTHING or not sequence:
        return None
    return Link(sequence - 1, run, info.get("Seal-Before", ""))


def number(folder: Path) -> int:
    """The number that the record in ``folder`` says it has; 0 where it says none."""
    return _number(bag.info(folder))


def _number(info: Mapping[str, str]) -> int:
    text = info.get("Sequence", "")
    return int(text) if _NUMBER.fullmatch(text) else 0


def records(runs: Path) -> list[Path]:
    """The folders of an environment's records, by their names; a link is none."""
    if not runs.is_dir():
        return []
    return sorted(
        p for p in runs.iterdir() if p.is_dir() and not (p.is_symlink() or p.name[0] == ".")
    )


def is_own(folder: Path) -> bool:
    """Whether a sealed record says of itself that it is of the run, and environment, it lies as.

    One that somebody has copied there, or renamed, says another; one that was damaged, nothing.
    """
    info = bag.info(folder)
    named = (("Run", folder.name), ("Environment", folder.parent.name))
    return all(info.get(label, "") in ("", name) for label, name in named)


def last(runs: Path, known: Link | None = None) -> Link | None:
    """The environment's last seal, as it was made: a record that was damaged since is no other.

    ``known`` is the one that is known elsewhere, if any; it is believed first.
    """
    own = map(of, filter(is_own, records(runs)))
    links = [link for link in (known, noted_last(runs), *own) if link]
    return max(links, key=lambda link: link.sequence, default=None)


def noted_last(runs: Path) -> Link | None:
    """The last seal as the file beside the records has it; None where it has none.

    The next record takes its number and names its run, so nothing but what we write is believed.

    Raises:
        OSError: it cannot be read. Without it two records would get one number.
    """
    if not (runs / LAST).is_file():
        return None
    text = (runs / LAST).read_bytes()
    try:
        note = json.loads(text)
        link = Link(note["sequence"], note["run"], note["seal"])
        return link if _is_possible(link) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_possible(link: Link) -> bool:
    """Whether a seal of ours can have been noted so.

    Raises:
        TypeError: run or seal is no text.
    """
    is_number = type(link.sequence) is int and 1 <= link.sequence <= _LARGEST
    is_name = Path(link.run).name == link.run and link.run.isprintable()
    return is_number and is_name and bool(_SEAL.fullmatch(link.seal))


def note_last(runs: Path, link: Link) -> None:
    """Write the last seal beside the records; on the disk when this returns."""
    private.replace(runs / LAST, json.dumps(asdict(link)).encode() + b"\n")


def held_by_others(runs: Path) -> dict[str, set[str]]:
    """Run -> its seals as others hold them: the record after it, and the note of the last one.

    It reads all records: who asks about many of them asks once.
    """
    held: dict[str, set[str]] = {}
    for link in (*map(before, records(runs)), noted_last(runs)):
        if link:
            held.setdefault(link.run, set()).add(link.seal)
    return held


def is_cut_short(folder: Path) -> bool:
    """Whether a kill came before the last file of the seal, and all the others are as noted."""
    return bool(_last_file(folder))


def _last_file(folder: Path) -> bytes:
    """The last file of a seal that was cut short before it; nothing where none was.

    Only if what is there gives exactly the seal that was noted.
    """
    noted = noted_last(folder.parent)
    if bag.is_sealed(folder) or noted is None or noted.run != folder.name:
        return b""
    if not all((folder / name).is_file() for name in bag.TAG_FILES):
        return b""
    text = bag.tag_manifest_text(folder).encode()
    return text if private.sha256(text) == noted.seal else b""


def finish(folder: Path) -> None:
    """Write the last file of a seal that a kill cut short before it, if there is one."""
    if text := _last_file(folder):
        bag.clear_drafts(folder)
        private.replace(folder / bag.TAG_MANIFEST, text)


def problems(folder: Path, held: Mapping[str, set[str]] | None = None) -> list[str]:
    """Whether the others know this record by another seal than it has.

    ``held`` is what they hold, where that is known.
    """
    by_others = held_by_others(folder.parent) if held is None else held
    if by_others.get(folder.name, set()) <= {bag.digest(folder)}:
        return []
    return ["the record after it, or the note of the last seal, holds another seal of it"]
