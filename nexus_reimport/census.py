"""Lists what the bucket holds. S3 is read, never written: there is no call here that could."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nexus_reimport import rowfile, settings
from nexus_reimport.errors import StorageError
from nexus_reimport.model import Census

Progress = Callable[[int, int], None]
COLUMNS = ("key", "size", "etag")


def take(
    place: settings.S3, folder: Path, name: str = "census", progress: Progress | None = None
) -> Census:
    """Every object under the prefixes of ``place``: key, size, etag, in the order of keys.

    Raises:
        StorageError: the bucket is missing, refused us, or could not be reached.
    """
    at, found = datetime.now(UTC), {}
    try:
        pages = _client(place).get_paginator("list_objects_v2")
        for prefix in place.prefixes:
            for page in pages.paginate(Bucket=place.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    found[item["Key"]] = (item["Size"], item["ETag"].strip('"'))
                if progress:
                    progress(len(found), len(found))
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise StorageError(
            f"S3 refused to list the bucket: {code}",
            where=f"bucket {place.bucket}",
            next="look at the bucket's name, the keys and their right to list; then run again",
        ) from None
    except BotoCoreError as error:
        raise StorageError(
            f"S3 could not be reached ({type(error).__name__})",
            where=f"bucket {place.bucket}",
            next="look at the endpoint and the network; then run again",
        ) from None
    with rowfile.writer(folder / f"{name}.parquet", COLUMNS) as out:
        for key in sorted(found):
            size, etag = found[key]
            out.add((key, str(size), etag))
    return Census(place.bucket, at, len(found), sum(s for s, _ in found.values()), out.done())


def keys(census: Census, folder: Path) -> frozenset[str]:
    """The keys of all objects."""
    return frozenset(row[0] or "" for row in rowfile.read(folder, census.file))


def _client(place: settings.S3) -> Any:
    return boto3.client(
        "s3",
        region_name=place.region,
        endpoint_url=place.endpoint or None,
        aws_access_key_id=place.access_key.get_secret_value(),
        aws_secret_access_key=place.secret_key.get_secret_value(),
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 4, "mode": "standard"},
            s3={"addressing_style": "path" if place.endpoint else "auto"},
        ),
    )
