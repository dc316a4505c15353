"""Checks before: FileMaker has not gone back to an older state, and its clock can be trusted.

A file that was restored from a backup looks right: it is whole, and about as large. What people
entered after the backup is lost there, and a reimport would lose it in Nexus too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from nexus_reimport import forms, wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.files import columns
from nexus_reimport.model import KEY, Extract, Level

# Stamps are wall clock, and in autumn a clock shows one hour twice.
_HOUR = timedelta(hours=1)
_FIRST = "no COMPLETE record before this one: nothing to compare with"
_CLOCKS = timedelta(minutes=5)  # as much as the clocks of two computers may differ


@check(Before, Level.STOP, serves=("B1", "B2", "M3"))
def filemaker_was_not_restored(before: Before) -> Finding:
    """Nothing in FileMaker has gone back to before a change that the last COMPLETE record saw.

    Where it has, the file was restored from a backup: what was entered since then is lost there.
    Of a table that comes without its field of modification times, as an export may, it is not seen.
    """
    if before.earlier is None:
        return Finding(1, note=_FIRST)
    off, both, bare = [], [], []
    for then, now in _both(before):
        if _has_stamps(before, now):
            both.append((then, now))
        else:
            bare.append(now.source)
    newest_then = max((then.newest for then, _ in both), default="")
    newest_now = max((now.newest for _, now in both), default="")
    if _is_older(newest_now, newest_then):
        off.append(f"the whole file: {_then_and_now(newest_then, newest_now)}")
    for then, now in both:
        if count := sum(_is_older(*stamps) for stamps in _stamps(before, then, now)):
            records = wording.amount(count, "record")
            off.append(f"{now.source}: {records} as before a change that was read then")
    missing = [then for then, _ in both if not _is_kept(before, then)]
    single = f"; of {wording.amount(len(missing), 'table')} not record by record" if missing else ""
    unseen = f"; not {', '.join(bare)}: read without modification times now" if bare else ""
    return Finding(1 + len(both), off, note=f"compared with {before.earlier_run}{single}{unseen}")


@check(Before, Level.REVIEW, serves=("B1", "B2", "M3"))
def no_table_of_filemaker_has_an_older_newest_change(before: Before) -> Finding:
    """In each FileMaker table the newest change is no older than in the last COMPLETE record.

    It is older if the record that was changed last was deleted, or if the file was restored from a
    backup: ask who looks after it. A table that is read without modification times now is named.
    """
    if before.earlier is None:
        return Finding(1, note=_FIRST)
    both = list(_both(before))
    off = [
        f"{now.source}: {_then_and_now(then.newest, now.newest)}"
        if _has_stamps(before, now)
        else f"{now.source}: newest change {then.newest} then, read without modification times now"
        for then, now in both
        if _is_older(now.newest, then.newest)
    ]
    return Finding(1 + len(both), off, note=f"compared with {before.earlier_run}")


@check(Before, Level.REVIEW, serves=("S1", "M3"))
def no_change_of_filemaker_lies_in_the_future(before: Before) -> Finding:
    """No FileMaker record was changed later than it was read, by the clinic's clock.

    Else a computer's clock is wrong, or the environment's time zone is. An edit after it may look
    older than the newest one: where a server does not count the changes of each record, it is
    not noticed before the execution.
    """
    taken = before.snapshot.taken_at + timedelta(seconds=before.snapshot.seconds)
    local = taken.astimezone(before.settings.zone)
    limit = local.replace(tzinfo=None) + _CLOCKS
    extracts = before.snapshot.extracts.values()
    late = [
        f"{e.source}: newest change {e.newest}"
        for e in extracts
        if (newest := _at(e.newest)) and newest > limit
    ]
    return Finding(len(extracts), late, note=f"read until {local:%Y-%m-%d %H:%M:%S %Z}")


def _has_stamps(before: Before, extract: Extract) -> bool:
    """Whether FileMaker gave the modification times of a table: an export may come without."""
    modified = before.mapping.sources[extract.source].modified
    return any(field.name == modified and field.found_as for field in extract.fields)


def _both(before: Before) -> Iterator[tuple[Extract, Extract]]:
    """Each table that has stamps, as it was in the earlier record, and as it is."""
    extracts = before.earlier.extracts if before.earlier else {}
    for name, now in before.snapshot.extracts.items():
        then = extracts.get(name)
        if then is not None and then.newest:
            yield then, now


def _stamps(before: Before, then: Extract, now: Extract) -> Iterator[tuple[str, str]]:
    """When each record that is in both was changed last: as it is now, and as it was then."""
    if before.earlier_folder is None or not _is_kept(before, then):
        return
    field = before.mapping.sources[now.source].modified
    if field not in then.file.columns:
        return
    was = columns.read(before.earlier_folder, then.file, (KEY, field))
    held = columns.read(before.folder, now.file, (KEY, field))
    before_it = columns.looked_up(held[KEY], was[KEY], was[field])
    for stamp, earlier in zip(columns.texts(held[field]), before_it.to_pylist(), strict=True):
        if earlier and stamp != earlier:
            yield forms.stamp(stamp), forms.stamp(earlier)


def _is_kept(before: Before, then: Extract) -> bool:
    """Whether the records that were read then are still on the disk: private files are purged."""
    return before.earlier_folder is not None and (before.earlier_folder / then.file.name).is_file()


def _is_older(now: str, then: str) -> bool:
    was, at = _at(then), _at(now)
    if was is None or now >= then:
        return False
    return at is None or was - at > _HOUR


def _at(stamp: str) -> datetime | None:
    """A stamp as a time of the wall clock; None where it is empty, or no time."""
    with suppress(ValueError):
        return datetime.fromisoformat(stamp)
    return None


def _then_and_now(then: str, now: str) -> str:
    return f"newest change {then} then, {now or 'none'} now"
