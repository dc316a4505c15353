"""An archive of sealed records against a real S3 server with Object Lock."""

from __future__ import annotations

import io
import secrets
import subprocess
import sys
import tarfile
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

from nexus_reimport import record, settings
from nexus_reimport.errors import OnlySealed, RecordError, StorageError
from nexus_reimport.record.sealed import archive, archived, index
from nexus_reimport.settings import Archive
from nexus_sandbox.s3.access import REGION
from nexus_sandbox.s3.server import S3Server
from support import SUPPORT
from support.broken_archive import (
    Break,
    answering,
    broken,
    cut_upload,
    garbled,
    half,
    lost_after,
    lost_before,
)
from support.opened import files_opened
from support.records import complete, stopped


def place(folder: Path, s3: S3Server, bucket: str, endpoint: str = "") -> Archive:
    """The archive as an environment's file describes it."""
    path, secrets = folder / "sandbox-dev.toml", folder / ".env.sandbox-dev"
    before = path.read_text(), secrets.read_text()
    path.write_text(
        before[0] + f'\n[record.archive]\nbucket = "{bucket}"\nregion = "{REGION}"\ndays = 30\n'
        f'endpoint = "{endpoint or s3.access.endpoint}"\n'
        'access_key = {env = "ARCHIVE_KEY"}\nsecret_key = {env = "ARCHIVE_SECRET"}\n'
    )
    keys = {"ARCHIVE_KEY": s3.access.access_key, "ARCHIVE_SECRET": s3.access.secret_key}
    secrets.write_text(before[1] + "".join(f"{k}={v}\n" for k, v in keys.items()))
    found = settings.load("sandbox-dev", folder)
    path.write_text(before[0])
    secrets.write_text(before[1])
    assert found.record.archive is not None
    assert s3.access.secret_key not in str(found.public())
    return found.record.archive


@pytest.fixture
def locked(known: settings.Settings, environment_files: Path, s3: S3Server) -> Archive:
    """An archive in a bucket of its own, which has Object Lock."""
    bucket = f"archive-{secrets.token_hex(4)}"
    s3.access.client().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return place(environment_files, s3, bucket)


def packed(folder: Path) -> bytes:
    """The record as the archive has it."""
    out = io.BytesIO()
    archive.pack(folder, out)
    return out.getvalue()


def test_a_record_is_archived_as_one_bag_and_read_back(
    known: settings.Settings, locked: Archive, s3: S3Server, tmp_path: Path
) -> None:
    run = complete(known)
    (kept,) = archive.put_missing(run.bag.parent, locked)
    body = s3.access.client().get_object(Bucket=locked.bucket, Key=kept.key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        tar.extractall(tmp_path / "read back", filter="data")
    bag = tmp_path / "read back" / run.id
    done = subprocess.run(
        [sys.executable, "-m", "bagit", "--validate", "--quiet", str(bag)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {p.relative_to(bag): p.read_bytes() for p in bag.rglob("*") if p.is_file()} == {
        p.relative_to(run.bag): p.read_bytes() for p in run.bag.rglob("*") if p.is_file()
    }
    assert archived.noted(run.bag.parent) == [kept]
    assert kept.key in (run.bag.parent / "index.html").read_text()


def test_nobody_can_delete_or_overwrite_it_before_its_day(
    known: settings.Settings, locked: Archive, s3: S3Server
) -> None:
    kept = archive.put(complete(known).bag, locked)
    client = s3.access.client()
    named = {"Bucket": locked.bucket, "Key": kept.key}
    assert datetime.fromisoformat(kept.until) > datetime.now(UTC) + timedelta(days=29)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    version = {**named, "VersionId": kept.version}
    for attempt in (
        lambda: client.delete_object(**version),
        lambda: client.delete_object(**version, BypassGovernanceRetention=True),
        lambda: client.put_object_retention(
            **version,
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": soon},
        ),
    ):
        with pytest.raises(ClientError, match="Access Denied"):
            attempt()
    client.put_object(**named, Body=b"another")  # a newer version beside it, not in its place
    client.delete_object(**named)  # a marker
    held = client.get_object(**version)["Body"].read()
    assert held == packed(known.records_folder / kept.run)


def test_a_record_that_is_there_already_is_compared_and_not_sent_again(
    known: settings.Settings, locked: Archive, s3: S3Server
) -> None:
    run = complete(known)
    first = archive.put(run.bag, locked)
    assert archive.put(run.bag, locked) == first
    s3.access.client().put_object(Bucket=locked.bucket, Key=first.key, Body=b"another")
    with pytest.raises(OnlySealed, match="what lies there under its key is another file"):
        archive.put(run.bag, locked)


def test_all_that_is_missing_is_archived_once(known: settings.Settings, locked: Archive) -> None:
    runs = [stopped(known), complete(known)]
    record.create(known)
    folder = known.records_folder
    assert [one.run for one in archive.put_missing(folder, locked)] == [run.id for run in runs]
    assert archive.put_missing(folder, locked) == []
    assert archive.put_missing(folder, None) == []


def test_many_records_go_there_with_the_page_of_all_written_once(
    known: settings.Settings, locked: Archive
) -> None:
    """It was written after each record, and reads all of them."""
    opened = []
    for several in (3, 9):
        for _ in range(several):
            stopped(known)
        index.write(known.records_folder)
        page = files_opened(lambda: index.write(known.records_folder))
        opened.append(
            (files_opened(lambda: archive.put_missing(known.records_folder, locked)) - page)
            / several
        )
    few, many = opened
    assert many < 1.5 * few
    assert (known.records_folder / index.FILE).read_text().count("In the archive") == 12


def test_of_a_large_record_a_piece_is_in_memory(known: settings.Settings, locked: Archive) -> None:
    """It was three times: packed, sent, and read back."""
    run = record.create(known)
    (run.folder / "ledger.csv").write_bytes(b"patients,new,,00000001,00000002\n" * (2 << 20))
    run.seal()
    tracemalloc.start()
    try:
        kept = archive.put(run.bag, locked)
        assert archive.put(run.bag, locked) == kept  # compared with what is there
        assert tracemalloc.get_traced_memory()[1] < 24 << 20  # the record has 64 MB
    finally:
        tracemalloc.stop()


def test_one_record_that_cannot_be_archived_keeps_no_other_from_it(
    known: settings.Settings, locked: Archive, s3: S3Server
) -> None:
    changed, taken, good = stopped(known), complete(known), stopped(known)
    (changed.folder / "environment.json").write_text("{}")
    key = f"{locked.prefix}{known.name}/{taken.id}-{taken.seal_digest()[:12]}.tar"
    s3.access.client().put_object(Bucket=locked.bucket, Key=key, Body=b"another")
    with pytest.raises(OnlySealed) as refused:
        archive.put_missing(known.records_folder, locked)
    told = str(refused.value)
    assert "2 records are not in the archive" in told
    assert f"{changed.id} is not archived, it is not as it was sealed: data/environ" in told
    assert "what lies there under its key is another file" in told
    assert "state: 1 other record went there now" in told
    assert [one.run for one in archived.noted(known.records_folder)] == [good.id]


@pytest.mark.parametrize(
    ("method", "first", "breaking"),
    [
        ("PUT", 1, lost_before),
        ("PUT", 1, lost_after),
        ("PUT", 1, answering(503, "SlowDown")),
        ("GET", 1, lost_before),
        ("GET", 1, answering(500, "InternalError")),
    ],
)
def test_a_connection_that_is_lost_once_costs_nothing(
    known: settings.Settings,
    environment_files: Path,
    locked: Archive,
    s3: S3Server,
    method: str,
    first: int,
    breaking: Break,
) -> None:
    run = complete(known)

    def breaks(given: str, number: int) -> Break | None:
        return breaking if (given, number) == (method, first) else None

    with broken(s3.access.endpoint, breaks) as endpoint:
        kept = archive.put(run.bag, place(environment_files, s3, locked.bucket, endpoint))
    body = s3.access.client().get_object(Bucket=locked.bucket, Key=kept.key)["Body"].read()
    assert body == packed(run.bag)
    versions = s3.access.client().list_object_versions(Bucket=locked.bucket)["Versions"]
    assert [one["Key"] for one in versions] == [kept.key]


@pytest.mark.parametrize(
    ("method", "breaking", "what", "fix"),
    [
        (
            "PUT",
            answering(507, "InsufficientStorage"),
            "it is full (Insuff",
            "give the bucket more",
        ),
        ("PUT", answering(400, "QuotaExceeded"), "it is full (Quota", "give the bucket more"),
        ("PUT", answering(503, "SlowDown"), "S3 failed (SlowDown, HTTP 503)", "wait until"),
        ("PUT", answering(403, "AccessDenied"), "S3 refused it (AccessDenied", "the bucket needs"),
        (
            "PUT",
            answering(403, "RequestTimeTooSkewed"),
            "S3 refused it (RequestTimeTooSkewed",
            "set this machine's clock (NTP)",
        ),
        ("PUT", cut_upload, "a request failed (", "wait until the archive works again"),
        ("PUT", lost_before, "a request failed (", "wait until the archive works again"),
        ("GET", half, "a request failed (", "wait until the archive works again"),
    ],
)
def test_an_archive_that_fails_says_how_and_the_next_try_goes_on(
    known: settings.Settings,
    environment_files: Path,
    locked: Archive,
    s3: S3Server,
    method: str,
    breaking: Break,
    what: str,
    fix: str,
) -> None:
    runs = [stopped(known), complete(known)]

    def breaks(given: str, number: int) -> Break | None:
        return breaking if given == method else None

    with broken(s3.access.endpoint, breaks) as endpoint:
        bad = place(environment_files, s3, locked.bucket, endpoint)
        with pytest.raises(StorageError) as refused:
            archive.put_missing(known.records_folder, bad)
    told = str(refused.value)
    assert what in told
    assert f"next:  {fix}" in told
    assert runs[0].id in told  # those after it were not tried
    assert runs[1].id not in told
    assert archived.noted(known.records_folder) == []
    done = archive.put_missing(known.records_folder, locked)
    assert [one.run for one in done] == [run.id for run in runs]


def test_an_answer_that_is_damaged_inside_of_tls_is_a_request_that_failed(
    known: settings.Settings, environment_files: Path, locked: Archive, s3: S3Server
) -> None:
    """It was told as an unforeseen error of a library, and nothing of what was to be done."""
    run, authority = complete(known), SUPPORT / "authority"

    def breaks(given: str, number: int) -> Break | None:
        return garbled if given == "GET" else None

    with broken(s3.access.endpoint, breaks, authority / "signed.pem") as endpoint:
        bad = place(environment_files, s3, locked.bucket, endpoint)
        trusted = bad.model_copy(update={"ca_file": authority / "ca.pem"})
        with pytest.raises(StorageError, match=r"a request failed \(SSLError\)") as refused:
            archive.put(run.bag, trusted)
    assert refused.value.next.startswith("wait until the archive works again")
    assert archived.noted(known.records_folder) == []
    assert archive.put(run.bag, locked).run == run.id


@pytest.mark.parametrize("part", [0, 2, 1])
def test_a_copy_that_was_cut_or_not_locked_keeps_no_record_from_the_archive(
    known: settings.Settings, locked: Archive, s3: S3Server, part: int
) -> None:
    """One put there by hand, or by a program that was killed: nothing was archived any more."""
    runs, client = [complete(known), stopped(known)], s3.access.client()
    key = f"{locked.prefix}{known.name}/{runs[0].id}-{runs[0].seal_digest()[:12]}.tar"
    data = packed(runs[0].bag)
    client.put_object(Bucket=locked.bucket, Key=key, Body=data[: len(data) // part if part else 0])
    done = archive.put_missing(known.records_folder, locked)
    assert [one.run for one in done] == [run.id for run in runs]
    named = {"Bucket": locked.bucket, "Key": key, "VersionId": done[0].version}
    assert client.get_object(**named)["Body"].read() == data
    with pytest.raises(ClientError, match="Access Denied"):
        client.delete_object(**named)
    versions = client.list_object_versions(Bucket=locked.bucket, Prefix=key)["Versions"]
    assert len(versions) == (1 if part == 1 else 2), "what was there is still there"


def test_what_was_sent_is_read_back_whatever_came_since(
    known: settings.Settings, environment_files: Path, locked: Archive, s3: S3Server
) -> None:
    run, client = complete(known), s3.access.client()

    def breaks(given: str, number: int) -> Break | None:
        if given == "GET":  # somebody writes a newer version before it is read
            (key,) = {v["Key"] for v in client.list_object_versions(Bucket=bucket)["Versions"]}
            client.put_object(Bucket=bucket, Key=key, Body=b"another")
        return None

    bucket = locked.bucket
    with broken(s3.access.endpoint, breaks) as endpoint:
        kept = archive.put(run.bag, place(environment_files, s3, bucket, endpoint))
    named = {"Bucket": bucket, "Key": kept.key, "VersionId": kept.version}
    assert client.get_object(**named)["Body"].read() == packed(run.bag)


def test_an_archive_that_cannot_lock_or_cannot_be_reached_is_told_and_spoils_no_record(
    known: settings.Settings, environment_files: Path, locked: Archive, s3: S3Server
) -> None:
    run = complete(known)
    without_lock = place(environment_files, s3, s3.access.buckets[0])
    nowhere = place(environment_files, s3, "archive", "http://127.0.0.1:9")
    wrong_key = locked.model_copy(update={"secret_key": SecretStr("not-the-key")})
    no_bucket = place(environment_files, s3, "no-such-bucket")
    for bad, fix in (
        (without_lock, "the bucket needs Object Lock"),
        (nowhere, "correct endpoint and region of [record.archive]"),
        (wrong_key, "correct access_key and secret_key of [record.archive]"),
        (no_bucket, "correct bucket of [record.archive], or its endpoint"),
    ):
        with pytest.raises(StorageError) as told:
            archive.put(run.bag, bad)
        text = str(told.value)
        assert text.startswith("the record is not in the archive: ")
        assert "  state: the record is sealed and whole" in text
        assert text.endswith(f"then: nexus-reimport record archive {known.name}")
        assert fix in text
        assert "not-the-key" not in text
    assert run.problems() == []
    assert archived.noted(run.bag.parent) == []


def test_an_open_run_is_not_archived(known: settings.Settings, locked: Archive) -> None:
    run = record.create(known)
    with pytest.raises(RecordError, match="is not sealed"):
        archive.put(run.bag, locked)


def test_a_copy_that_the_archive_has_lost_is_put_there_again(
    known: settings.Settings, environment_files: Path, s3: S3Server
) -> None:
    """By its own list every record was in the archive already, whatever the bucket held."""
    bucket, client = f"archive-{secrets.token_hex(4)}", s3.access.client()
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    locked = place(environment_files, s3, bucket).model_copy(update={"mode": "GOVERNANCE"})
    runs = [complete(known), complete(known)]
    first, second = archive.put_missing(known.records_folder, locked)
    assert archive.put_missing(known.records_folder, locked, looks=True) == []
    client.delete_object(
        Bucket=bucket, Key=first.key, VersionId=first.version, BypassGovernanceRetention=True
    )
    (again,) = archive.put_missing(known.records_folder, locked, looks=True)
    assert (again.run, again.key) == (first.run, first.key)
    assert again.version != first.version
    assert archive.put_missing(known.records_folder, locked, looks=True) == []
    assert again.until[:10] in (known.records_folder / index.FILE).read_text()
    assert second.run == runs[1].id
    # The file names another bucket now: what lies in the one before is asked for there.
    other = locked.model_copy(update={"bucket": f"archive-{secrets.token_hex(4)}"})
    client.create_bucket(Bucket=other.bucket, ObjectLockEnabledForBucket=True)
    assert archive.put_missing(known.records_folder, other, looks=True) == []
    client.delete_object(
        Bucket=bucket, Key=second.key, VersionId=second.version, BypassGovernanceRetention=True
    )
    (moved,) = archive.put_missing(known.records_folder, other, looks=True)
    assert (moved.run, moved.bucket) == (second.run, other.bucket)
    assert archive.put_missing(known.records_folder, other, looks=True) == []


def test_an_archive_that_does_not_answer_is_not_one_that_has_lost_its_copies(
    known: settings.Settings, locked: Archive
) -> None:
    complete(known)
    archive.put_missing(known.records_folder, locked)
    silent = locked.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    with pytest.raises(StorageError, match="a request failed"):
        archive.put_missing(known.records_folder, silent, looks=True)
