"""Keys of a real S3 server are listed as they were stored."""

from __future__ import annotations

from pathlib import Path

from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.stages import census
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.s3.server import S3Server
from support.listings import (
    keys,
    place,
)

ODD_KEYS = ["a b+c&d", "ü/50%41.pdf", "x<y>.pdf", "日本.pdf"]


def test_keys_are_as_they_were_stored(s3: S3Server, tmp_path: Path) -> None:
    s3.access.fill("second-installation", [StoredObject(f"odd/{k}", b"x") for k in ODD_KEYS])
    where = place(
        s3.access.endpoint,
        bucket="second-installation",
        prefixes=("odd/",),
        access_key=FromEnvironment(s3.access.access_key),
        secret_key=FromEnvironment(s3.access.secret_key),
    )
    assert sorted(map(str, keys(census.take(where, tmp_path), tmp_path))) == sorted(
        f"odd/{k}" for k in ODD_KEYS
    )
