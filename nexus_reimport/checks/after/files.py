"""What is in S3: every file that was there, unchanged, and some of them read in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from nexus_reimport import wording
from nexus_reimport.checks import Finding, bucket, check
from nexus_reimport.checks.after.subject import After
from nexus_reimport.files import columns, rowfile, side_by_side
from nexus_reimport.files.rowfile import Dict, by
from nexus_reimport.model import Level
from nexus_reimport.model.snapshot import ARCHIVED
from nexus_reimport.planning import attachments


@check(After, Level.STOP, serves=("K1", "K2"), links=True)
def no_file_was_lost(after: After) -> Finding:
    """Every file that was in S3 before is there, unchanged."""
    named, objects = after.named, after.once(_objects)
    lost = columns.count(columns.of((*objects.gone, *objects.changed)), named)
    held = after.census_now.objects
    return Finding(
        max(1, len(named)), count=lost, note=f"{wording.amount(held, 'object')} in the bucket"
    )


@check(After, Level.REVIEW, serves=("K1", "K2", "K13"), links=True)
def objects_that_no_row_names_are_as_they_were(after: After) -> Finding:
    """Objects in S3 that no document and no image names are as many as before, and unchanged."""
    named, objects = after.named, after.once(_objects)
    kinds = {"lost": objects.gone, "changed": objects.changed, "added": objects.added}
    counts = {k: len(keys) - columns.count(columns.of(keys), named) for k, keys in kinds.items()}
    before = after.census.file.rows - len(named)  # each of them is an object of the census
    now = before - counts["lost"] + counts["added"]
    off = [f"{count:,} {kind}" for kind, count in counts.items() if count]
    note = f"{before:,} before, {now:,} now"
    looked = after.census.objects
    return Finding(max(1, looked), off, count=sum(counts.values()), note=note)


@check(After, Level.STOP, serves=("K1", "K2"), links=True)
def a_sample_of_the_files_is_unchanged(after: After) -> Finding:
    """Some of the files, chosen by the plan's digest, hold the same bytes as before the run.

    Each is read in full and hashed, before and after; so are its version, its type and its other
    headers compared, where S3 tells them. How many is `sample` of [s3]. The bytes of one in an
    archive's storage class can be read by nobody, before or after.
    """
    if not after.sample.objects:
        empty = "no row names a file" if not len(after.named) else ""
        return Finding(0 if empty else 1, note="" if empty else _NONE, empty=empty)
    off: list[str] = []
    archived = 0
    was = rowfile.read_dicts(after.folder, after.sample.file)
    now = rowfile.read_dicts(after.folder, after.sample_now.file)
    for _, then, row in rowfile.paired(was, now, by("key")):
        off += _differences(then, row)
        archived += any(one is not None and one["sha256"] == ARCHIVED for one in (then, row))
    counted = Counter(off)
    note = (
        f"{after.sample.objects:,} of {wording.amount(after.census.objects, 'object')},"
        f" {wording.amount(after.sample.bytes_read, 'byte')}, read in full before and after"
    )
    if archived:
        kept = wording.amount(archived, "is archived", "are archived")
        note += f"; {kept} in S3, and compared without {'its' if archived == 1 else 'their'} bytes"
    lines = [f"{difference}: {count:,}" for difference, count in counted.items()]
    return Finding(after.sample.objects, lines, count=len(off), note=note)


def _differences(then: Dict | None, now: Dict | None) -> Iterator[str]:
    """What is wrong with one object of the sample, if anything is."""
    if then is None or now is None:
        yield "not read again"
    elif not then["sha256"]:
        yield "could not be read before the run"
    else:
        bytes_apart = {"sha256"} if ARCHIVED in (then["sha256"], now["sha256"]) else set()
        compared = (column for column in then if column not in bytes_apart)
        if differ := [column for column in compared if now[column] != then[column]]:
            yield f"other {', '.join(differ)}"


_NONE = "no object was read: sample = 0 in [s3]"


@check(After, Level.REVIEW, serves=("K1", "K2"), links=True)
def no_more_files_are_missing(after: After) -> Finding:
    """Every document and image has its file in S3."""
    stored = bucket.stored(after.census_now, after.folder)
    wanted = attachments.kept_files(after.intake).values()
    missing = sum(stored.reals(keys).null_count for keys in wanted)
    return Finding(max(1, sum(map(len, wanted))), count=missing)


@check(After, Level.REVIEW, serves=("K1", "K2"), links=True)
def no_file_was_written_again(after: After) -> Finding:
    """No file of a document or image was written again since the survey with the bytes it had.

    Its type, name for a browser, tags or access may be others: of a file outside the sample only
    the time is known.
    """
    named, objects = after.named, after.once(_objects)
    again = columns.count(columns.of(objects.again), named)
    return Finding(max(1, len(named)), count=again)


_TOLD = ("size", "etag", "modified")  # of an object by a listing


@dataclass(frozen=True, slots=True)
class _Objects:
    """The keys of the objects that are not what they were."""

    gone: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    again: tuple[str, ...]  # written again with the same bytes


def _objects(after: After) -> _Objects:
    """Every object that was there or is there, once for all checks."""
    rows = side_by_side.of(after.folder, after.census.file, after.census_now.file, "key")
    changed, again = [], []
    for was, now in rows.batches():
        for key, then, row in side_by_side.what_differs(was, now, "key", _TOLD, always=True):
            if _is_changed(then, row):
                changed.append(key)
            elif row["modified"] != then["modified"]:
                again.append(key)
    return _Objects(rows.gone, rows.added, tuple(changed), tuple(again))


def _is_changed(was: Dict, now: Dict) -> bool:
    """Whether size or etag is another one; where S3 told no etag, the time of the last change."""
    if was["size"] != now["size"]:
        return True
    if was["etag"]:
        return was["etag"] != now["etag"]
    return bool(was["modified"] and now["modified"]) and was["modified"] != now["modified"]
