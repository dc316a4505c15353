"""Objects of S3 that are listed and cannot be read: why is asked of a real server."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from nexus_reimport.errors import StorageError
from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.stages import sample
from nexus_sandbox.s3.server import S3Server
from support.listings import place


def test_a_file_that_is_encrypted_with_the_key_of_who_stored_it_is_told_as_that(
    s3: S3Server, tmp_path: Path
) -> None:
    """It was told as "an unknown code", both by the dry run and by doctor."""
    client, bucket = s3.access.client(), f"encrypted-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=bucket)
    theirs = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": secrets.token_bytes(32)}
    for key, how in (("plain", {}), ("theirs", theirs)):
        client.put_object(Bucket=bucket, Key=key, Body=b"x", **how)
    ours = {"access_key": s3.access.access_key, "secret_key": s3.access.secret_key}
    keys = {name: FromEnvironment(value) for name, value in ours.items()}
    at = place(s3.access.endpoint, bucket=bucket, **keys)
    assert [sample.why_unread(at, key) for key in ("plain", "theirs", "none")] == [
        "",
        sample.ENCRYPTED,
        sample.GONE,
    ]
    taken = sample.take(at, ["plain", "theirs"], tmp_path)
    with pytest.raises(
        StorageError, match=r"^1 of 2 .*: 1 encrypted with a key .* \(SSE-C\)\n"
    ) as e:
        sample.require_read(at, taken, tmp_path)
    assert "sample = 0 under [s3]" in e.value.next
