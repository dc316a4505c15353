"""Why no encrypted connection came about is told; an authority of a clinic's own is a setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from botocore.exceptions import SSLError

from nexus_reimport import storage
from nexus_reimport.errors import SourceError, StorageError
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.http import RetryPolicy
from nexus_reimport.filemaker.odata import OData
from nexus_reimport.stages import census
from support import SUPPORT
from support.answering import answering
from support.listings import listing, place
from support.serving import serving

AUTHORITY = SUPPORT / "authority"
ANSWERS = {
    "productInfo": b'{"response": {"productInfo": {"name": "n", "version": "22"}},'
    b' "messages": [{"code": "0"}]}',
    "$metadata": b'<e xmlns="http://docs.oasis-open.org/odata/ns/edm"><Schema Namespace="x"/></e>',
}


@contextmanager
def server(certificate: str) -> Iterator[str]:
    """A server of FileMaker's and of S3's, by TLS, with one of the made-up certificates."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            body = next((b for n, b in ANSWERS.items() if n in self.path), listing("a").encode())
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler, AUTHORITY / certificate if certificate else None) as address:
        yield address.replace("http:", "https:")


@pytest.fixture(autouse=True)
def bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that would make every certificate trusted, if anybody obeyed them."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(AUTHORITY / "ca.pem"))


def filemaker(url: str, channel: type[DataApi | OData], authority: str = "") -> str:
    verify = str(AUTHORITY / authority) if authority else True
    retries = RetryPolicy(sleep=lambda _: None)
    with channel(url, "WalkClinic", "reader", "secret", verify=verify, retries=retries) as source:
        return source.product().version


@pytest.mark.parametrize("channel", [DataApi, OData])
def test_an_authority_of_ones_own_is_trusted_where_it_is_named(
    channel: type[DataApi | OData],
) -> None:
    with server("signed.pem") as url:
        filemaker(url, channel, "ca.pem")
        with pytest.raises(SourceError) as stopped:
            filemaker(url, channel)
    assert "is signed by an authority that this machine does not know" in str(stopped.value)
    assert "set ca_file under [filemaker]" in str(stopped.value)


CAUSES = {
    "other.pem": ("is for", "a server name that is in the certificate"),
    "expired.pem": ("has expired", "renew the certificate"),
    "self.pem": ("is self-signed", "set ca_file under"),
    "": ("does not use TLS at this address", "check the port"),
}


@pytest.mark.parametrize("certificate", CAUSES)
def test_why_a_certificate_is_not_trusted_is_told_apart(certificate: str, tmp_path: Path) -> None:
    what, todo = CAUSES[certificate]
    with server(certificate) as url:
        with pytest.raises(SourceError) as of_filemaker:
            filemaker(url, DataApi, "ca.pem")
        with pytest.raises(StorageError) as of_s3:
            census.take(place(url, ca_file=AUTHORITY / "ca.pem"), tmp_path)
    for stopped in (of_filemaker, of_s3):
        assert what in str(stopped.value)
        assert todo in str(stopped.value)
        assert stopped.value.__cause__ is None


def test_an_authority_of_ones_own_is_trusted_for_s3_where_it_is_named(tmp_path: Path) -> None:
    with server("signed.pem") as url:
        assert census.take(place(url, ca_file=AUTHORITY / "ca.pem"), tmp_path).objects == 1
        with pytest.raises(StorageError) as stopped:
            census.take(place(url), tmp_path)
    assert "is signed by an authority that this machine does not know" in str(stopped.value)
    assert "set ca_file under [s3]" in str(stopped.value)


def alert(number: int) -> bytes:
    """What a server sends that refuses to encrypt a connection, by the number of its reason."""
    return bytes([21, 3, 3, 0, 2, 2, number])


REFUSED = {
    "closed": (b"", "broke off before it was encrypted", "the network"),
    "too old": (alert(70), "offers only versions of TLS that are too old", "TLS 1.2"),
    "of clients": (alert(116), "wants a certificate of its clients", "ask for none"),
    "no cipher": (alert(40), "could be agreed on (SSLV3_ALERT_HANDSHAKE_FAILURE)", "ciphers"),
    "no such name": (alert(112), "could be agreed on (", "names that it answers to"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_certificate_s_fault_is_not_told_as_one(reason: str) -> None:
    """One was to set ca_file where a server knew TLS 1.0 alone, and no file could help."""
    sent, what, todo = REFUSED[reason]
    with answering(sent) as (address, asked):
        url = address.replace("http:", "https:")
        with pytest.raises(SourceError) as of_filemaker:
            filemaker(url, DataApi, "ca.pem")
        tries = len(asked)
        bucket = place(url, ca_file=AUTHORITY / "ca.pem")
        with pytest.raises(SSLError) as failed:
            storage.opened(bucket, retries=0).list_objects_v2(Bucket=bucket.bucket)
    for stopped in (of_filemaker.value, storage.unreached(failed.value, bucket)):
        assert what in str(stopped)
        assert todo in str(stopped)
        assert "ca_file" not in str(stopped)
    # What broke off may hold the next time; a server's settings do not change by asking again.
    assert tries == (3 if reason == "closed" else 1)
