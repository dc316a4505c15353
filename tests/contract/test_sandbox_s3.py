import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
import requests
from botocore.exceptions import ClientError

from nexus_reimport import CHECKOUT
from nexus_sandbox import process
from nexus_sandbox.s3.server import S3Server, Storage

BUCKETS = ("walk-nexus-dev", "walk-nexus-prod")


@dataclass(frozen=True, slots=True)
class Stored:
    key: str
    content: bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    started = S3Server.start(tmp_path_factory.mktemp("s3"), BUCKETS)
    yield started
    started.remove()


def test_both_buckets_are_there_and_empty(server: S3Server) -> None:
    assert [list(server.access.keys(bucket)) for bucket in BUCKETS] == [[], []]


def test_what_was_filled_in_is_what_s3_gives(server: S3Server) -> None:
    odd = ["documents/a b/ü+1&?#%41.pdf", "images/1/2/3.jpg", "empty.txt", "big.bin"]
    contents = [b"%PDF", b"\xff\xd8", b"", bytes(100_000)]
    objects = [Stored(key, content) for key, content in zip(odd, contents, strict=True)]
    server.access.fill("walk-nexus-prod", objects)
    client = server.access.client()
    assert set(server.access.keys("walk-nexus-prod")) == set(odd)
    for stored in objects:
        got = client.get_object(Bucket="walk-nexus-prod", Key=stored.key)
        assert got["Body"].read() == stored.content
        assert got["ETag"].strip('"') == hashlib.md5(stored.content).hexdigest()  # noqa: S324
    assert got["ContentType"] == "application/octet-stream"


def test_a_thousand_objects_and_more_are_all_listed(server: S3Server) -> None:
    objects = [Stored(f"many/{number}.jpg", b"x") for number in range(1500)]
    server.access.fill("walk-nexus-dev", objects)
    assert len(set(server.access.keys("walk-nexus-dev"))) == 1500


def test_wrong_or_no_credentials_are_refused(server: S3Server) -> None:
    wrong = replace(server.access, secret_key="wrong").client()
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        wrong.list_objects_v2(Bucket="walk-nexus-prod")
    assert requests.get(f"{server.access.endpoint}/walk-nexus-prod", timeout=60).status_code == 403


def test_a_bucket_that_is_not_there_is_not_made_by_writing_to_it(server: S3Server) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        server.access.client().put_object(Bucket="elsewhere", Key="a", Body=b"")


def listening(server: S3Server) -> set[tuple[str, int]]:
    sockets = psutil.Process(server.pid).net_connections("inet")
    return {tuple(one.laddr) for one in sockets if one.status == psutil.CONN_LISTEN}


def test_it_listens_on_loopback_alone_and_reports_nowhere(server: S3Server) -> None:
    assert {address for address, _ in listening(server)} == {"127.0.0.1"}
    assert "-master.telemetry=false" in psutil.Process(server.pid).cmdline()


def test_no_outgoing_connection_is_given_a_port_of_a_server_that_is_down(server: S3Server) -> None:
    assert max(port for _, port in listening(server)) < 32_768  # Linux's own range from here on


def test_its_credentials_are_neither_printed_nor_in_the_command_line(server: S3Server) -> None:
    shown = f"{server} {server!r} {server.access} {psutil.Process(server.pid).cmdline()}"
    assert server.access.secret_key not in shown
    assert server.access.access_key not in shown
    assert (server.folder / "s3.json").stat().st_mode & 0o777 == 0o600


def test_ports_credentials_and_objects_stay_when_it_starts_again(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 20)  # longer than a socket's path may be
    with S3Server.start(deep, BUCKETS) as first:
        first.access.fill("walk-nexus-dev", [Stored("kept.txt", b"1")])
    second = S3Server.start(deep, BUCKETS)
    assert second.access == first.access
    assert list(second.access.keys("walk-nexus-dev")) == ["kept.txt"]
    second.remove()
    assert not deep.exists()


def test_it_ends_with_a_starter_that_was_killed_and_loses_nothing(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from nexus_sandbox.s3.server import S3Server\n"
        f"print(S3Server.start(Path(sys.argv[1]), {BUCKETS!r}).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "s3"], stdout=subprocess.PIPE, cwd=CHECKOUT
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        access = Storage.at(tmp_path / "s3")
        assert access is not None
        access.fill("walk-nexus-dev", [Stored(f"{n}.txt", b"1") for n in range(500)])
        starter.kill()
    assert process.until(lambda: not psutil.pid_exists(pid), 10)
    again = S3Server.start(tmp_path / "s3", BUCKETS)
    assert len(list(again.access.keys("walk-nexus-dev"))) == 500
    again.remove()
