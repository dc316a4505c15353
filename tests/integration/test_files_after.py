"""The files in S3 after a run: what was lost, overwritten, hidden or added is found."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from nexus_reimport import progress, runbook
from nexus_reimport.checks import after, bucket
from nexus_reimport.errors import TargetError
from nexus_reimport.files import columns, rowfile
from nexus_reimport.model import Census, Level, Plan, Result, Sample
from nexus_reimport.runbook.opening import today
from nexus_reimport.stages import sample, verify
from nexus_reimport.stages.verify.reader import Reader
from support.clinic import Clinic

BUCKET = "walk-nexus-dev"
LOST, READ = "no_file_was_lost", "a_sample_of_the_files_is_unchanged"
UNNAMED = "objects_that_no_row_names_are_as_they_were"
AGAIN = "no_file_was_written_again"


@pytest.fixture
def done(clinic: Clinic) -> Iterator[tuple[Clinic, runbook.Runbook]]:
    """A clinic after a whole run; its bucket is put right again afterwards."""
    client = clinic.s3.access.client()
    there = set(clinic.s3.access.keys(BUCKET))
    yield clinic, clinic.executed()
    for key in set(clinic.s3.access.keys(BUCKET)) - there:
        client.delete_object(Bucket=BUCKET, Key=key)
    objects = clinic.made_up.objects("dev")
    clinic.s3.access.fill(BUCKET, [o for o in objects if o.key in there])


def results(
    book: runbook.Runbook, checks: tuple[str, ...] = (LOST, READ, UNNAMED)
) -> dict[str, Result]:
    """What the verification says of S3, which is listed and read again."""
    report = verify.run(book.settings, book.expected(), book._storage(), today=today(book.settings))
    return {r.check: r for r in report.results if r.check in checks}


def keys(book: runbook.Runbook) -> list[str]:
    return list(sample.keys_of(book.run.load(Sample), book.folder))


def test_the_sample_is_chosen_by_the_plan_and_stated(done: tuple[Clinic, runbook.Runbook]) -> None:
    _, book = done
    read, plan = book.run.load(Sample), book.run.load(Plan)
    intake, counted = book.expected().intake, book.expected().census
    named = bucket.named(intake, counted)
    assert read.objects == book.settings.s3.sample == 50
    assert keys(book) == sample.choose(counted, book.folder, named, plan.digest, 50)
    assert keys(book) != sample.choose(counted, book.folder, named, "another plan", 50)
    assert set(keys(book)) <= set(columns.texts(named))
    row = next(rowfile.read_dicts(book.folder, read.file))
    assert row["content_type"]
    assert len(row["sha256"] or "") == 64
    found = results(book)
    assert all(r.passed for r in found.values())
    assert found[READ].note.startswith(f"50 of {counted.objects:,} objects, {read.bytes_read:,} b")
    unnamed = counted.objects - len(named)
    assert found[UNNAMED].note == f"{unnamed:,} before, {unnamed:,} now"


def test_a_file_outside_the_sample_that_has_another_type_is_to_be_looked_at(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, _ = done
    book = clinic.whole(dry=True)  # its bucket was filled before the run
    assert results(book, (AGAIN,))[AGAIN].passed
    client, expected = clinic.s3.access.client(), book.expected()
    read = set(keys(book))
    key = next(
        k for k in columns.texts(bucket.named(expected.intake, expected.census)) if k not in read
    )
    at = client.head_object(Bucket=BUCKET, Key=key)["LastModified"]
    body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    while client.head_object(Bucket=BUCKET, Key=key)["LastModified"] == at:  # a clock of seconds
        client.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType="text/html")
    found = results(book, (LOST, READ, AGAIN))
    assert found[LOST].passed
    assert found[READ].passed
    assert (found[AGAIN].offending, found[AGAIN].level) == (1, Level.REVIEW)


def test_a_file_that_is_overwritten_with_as_many_bytes_is_found_by_listing_and_reading(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, book = done
    client, key = clinic.s3.access.client(), keys(book)[0]
    held = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    client.put_object(Bucket=BUCKET, Key=key, Body=held[:-1] + b"?")
    found = results(book)
    assert found[LOST].blocks
    assert found[LOST].offending == 1
    assert found[READ].blocks
    assert "etag" in found[READ].sample[0]
    assert "sha256" in found[READ].sample[0]
    assert key not in str(found)


def test_a_file_of_another_type_is_found_by_reading(done: tuple[Clinic, runbook.Runbook]) -> None:
    clinic, book = done
    client, key = clinic.s3.access.client(), keys(book)[1]
    held = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    client.put_object(Bucket=BUCKET, Key=key, Body=held, ContentType="text/html")
    found = results(book)
    assert found[LOST].passed
    assert found[READ].sample == ("other content_type: 1",)


@pytest.mark.parametrize(
    "kept",
    [
        {"ContentDisposition": 'attachment; filename="other.pdf"'},
        {"ContentEncoding": "gzip"},
        {"Metadata": {"patient": "another"}},
        {"Expires": datetime(2000, 1, 1, tzinfo=UTC)},
    ],
    ids=lambda kept: next(iter(kept)),
)
def test_a_file_with_other_headers_is_found_by_reading(
    done: tuple[Clinic, runbook.Runbook], kept: dict[str, Any]
) -> None:
    clinic, book = done
    client, key = clinic.s3.access.client(), keys(book)[2]
    before = client.get_object(Bucket=BUCKET, Key=key)
    held, kind = before["Body"].read(), before["ContentType"]
    client.put_object(Bucket=BUCKET, Key=key, Body=held, ContentType=kind, **kept)
    assert results(book)[READ].sample == ("other headers: 1",)


def test_a_file_that_is_deleted_is_found(done: tuple[Clinic, runbook.Runbook]) -> None:
    clinic, book = done
    clinic.s3.access.client().delete_object(Bucket=BUCKET, Key=keys(book)[2])
    found = results(book)
    assert (found[LOST].offending, found[READ].offending) == (1, 1)
    assert found[LOST].blocks


def test_objects_that_no_row_names_are_counted_and_compared(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, book = done
    clinic.s3.access.client().put_object(Bucket=BUCKET, Key="new/one.txt", Body=b"x")
    found = results(book)
    assert found[UNNAMED].level is Level.REVIEW
    assert found[UNNAMED].sample == ("1 added",)
    assert found[LOST].passed


def test_without_a_sample_the_report_says_so(done: tuple[Clinic, runbook.Runbook]) -> None:
    _, book = done
    subject = verify.gather(book.settings, book.expected(), book._storage())
    nothing = sample.take(book.settings.s3, [], book.folder, "nothing")
    found = after.files.a_sample_of_the_files_is_unchanged(
        replace(subject, sample=nothing, sample_now=nothing)
    )
    assert found.note == "no object was read: sample = 0 in [s3]"


def test_an_etag_that_is_not_told_is_replaced_by_the_time_of_the_last_change() -> None:
    was: dict[str, str | None] = {"size": "1", "etag": "", "modified": "2026-01-01T00:00:00+00:00"}
    assert not after.files._is_changed(was, was)
    assert after.files._is_changed(was, {**was, "modified": "2026-01-02T00:00:00+00:00"})
    assert not after.files._is_changed(was, {**was, "modified": ""})
    told = {**was, "etag": "a"}
    assert after.files._is_changed(told, {**was, "etag": "b"})
    assert after.files._is_changed(told, was)
    assert after.files._is_changed(told, {**told, "size": "2"})


def test_s3_is_listed_while_the_database_is_read(
    done: tuple[Clinic, runbook.Runbook], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, book = done
    storage, begun, read = book._storage(), threading.Event(), Reader.read

    def listing() -> Census:
        begun.set()
        return storage.list()

    def once_listed(self: Reader, part: str) -> None:
        assert begun.wait(60)
        read(self, part)

    monkeypatch.setattr(Reader, "read", once_listed)
    found = verify.gather(book.settings, book.expected(), replace(storage, list=listing))
    assert found.census_now.objects == found.census.objects


def test_a_listing_that_nobody_waits_for_any_more_ends_at_its_next_page(
    done: tuple[Clinic, runbook.Runbook], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, book = done
    begun, ended = threading.Event(), threading.Event()

    def endless() -> Census:
        begun.set()
        try:
            while True:
                progress.tell(0, 0, "some files so far")
                time.sleep(0.01)
        finally:
            ended.set()

    def fails(self: Reader, part: str) -> None:
        assert begun.wait(60)
        raise TargetError(f"{part} could not be read", where="", next="")

    monkeypatch.setattr(Reader, "read", fails)
    storage = replace(book._storage(), list=endless)
    with pytest.raises(TargetError, match="could not be read"):
        verify.gather(book.settings, book.expected(), storage)
    assert ended.is_set()
