"""Files of the bucket that S3 lists and does not give out: told before anything is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nexus_reimport import runbook
from nexus_reimport.checks.after import files
from nexus_reimport.errors import StorageError
from nexus_reimport.files import rowfile
from nexus_reimport.model import Report, Sample
from nexus_reimport.model.snapshot import ARCHIVED
from support.clinic import Clinic, planned
from support.interlock import secret
from support.storage import Refusal, refusing

CHECK = "a_sample_of_the_files_is_unchanged"
ARCHIVE = ("InvalidObjectState", 403)


def is_file(path: str) -> bool:
    return path.partition("?")[0].strip("/").count("/") > 0


def one_in(parts: int, path: str) -> bool:
    return is_file(path) and hashlib.sha256(path.encode()).digest()[0] % parts == 0


@contextmanager
def behind(clinic: Clinic, refusal: Refusal) -> Iterator[None]:
    with refusing(clinic.s3.access.ports["s3"], refusal) as endpoint:
        secret(clinic, "NEXUS_SANDBOX_S3_ENDPOINT", endpoint)
        yield


def sampled(book: runbook.Runbook) -> list[str | None]:
    file = book.run.load(Sample).file
    return [row["sha256"] for row in rowfile.read_dicts(book.folder, file)]


@pytest.mark.parametrize("parts", [3, 1], ids=["some", "all"])
def test_files_in_an_archives_storage_class_are_compared_without_their_bytes(
    clinic: Clinic, parts: int
) -> None:
    """They were refused: the run was committed, and could not be verified."""

    def refusal(command: str, path: str) -> tuple[str, int] | None:
        return ARCHIVE if command == "GET" and one_in(parts, path) else None

    with behind(clinic, refusal):
        book = clinic.whole(dry=True)
        archived = sampled(book).count(ARCHIVED)
    report = book.run.load(Report, "checks_after")
    assert archived == 50 if parts == 1 else 0 < archived < 50
    found = next(r for r in report.results if r.check == CHECK)
    assert found.passed
    assert f"; {archived} are archived in S3, and compared without their bytes" in found.note


def test_a_file_that_was_archived_or_fetched_back_since_is_compared_too() -> None:
    read = {"key": "k", "size": "1", "etag": "a", "sha256": "f"}
    archived = {**read, "sha256": ARCHIVED}
    for then, now in ((read, archived), (archived, read), (archived, archived), (read, read)):
        assert list(files._differences(then, now)) == []
        assert list(files._differences(then, {**now, "etag": "b"})) == ["other etag"]
    assert list(files._differences(read, {**read, "sha256": "e"})) == ["other sha256"]


@pytest.mark.parametrize(
    ("code", "status"), [("AccessDenied", 403), ("KMS.DisabledException", 400)]
)
def test_a_part_of_the_files_that_is_refused_stops_before_anything_is_written(
    clinic: Clinic, code: str, status: int
) -> None:
    with (
        behind(clinic, lambda _, path: (code, status) if one_in(4, path) else None),
        pytest.raises(StorageError) as told,
    ):
        planned()
    assert " of 50 files that verification reads could not be read: " in told.value.what
    assert told.value.what.endswith(" refused to this account")
    assert "kms:Decrypt" in told.value.next
    assert told.value.state == "nothing was written"


def test_files_that_are_gone_since_they_were_listed_stop_it_too(clinic: Clinic) -> None:
    with (
        behind(clinic, lambda _, path: ("NoSuchKey", 404) if one_in(4, path) else None),
        pytest.raises(StorageError) as told,
    ):
        planned()
    assert told.value.what.endswith(" gone since S3 was listed")
    assert "who deletes files" in told.value.next
