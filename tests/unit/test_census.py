"""S3 lists what it has, or the census stops and says why: over HTTP, against a server that errs."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import quote

import dateutil.parser
import pytest
from botocore.utils import parse_timestamp

from nexus_reimport import storage
from nexus_reimport.checks import bucket
from nexus_reimport.errors import StorageError
from nexus_reimport.files import columns, rowfile
from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.stages import census
from support.answering import answering
from support.listings import (
    WHOLE,
    Answer,
    Query,
    Reply,
    keys,
    listing,
    place,
    server,
    taken,
)

TRUNCATED = "<IsTruncated>true</IsTruncated>"
SECRET = "a secret that nobody may see"


def error(code: str, status: int, more: str = "") -> Reply:
    """A refusal of S3, with words that nobody may repeat."""
    return Reply(f"<Error><Code>{code}</Code><Message>{SECRET}</Message>{more}</Error>", status)


def test_tokens_are_followed_to_the_end(tmp_path: Path) -> None:
    def answer(query: Query) -> str:
        if query.get("continuation-token") == "t1":
            return listing("b", "c")
        return listing("a", more=f"{TRUNCATED}<NextContinuationToken>t1</NextContinuationToken>")

    assert keys(taken(answer, tmp_path), tmp_path) == ["a", "b", "c"]


def test_a_server_that_tells_no_token_is_asked_for_what_comes_after_the_last_key(
    tmp_path: Path,
) -> None:
    pages = {"": ("a", "b"), "b": ("c",), "c": ("d",)}

    def answer(query: Query) -> str:
        start = query.get("start-after", "")
        return listing(*pages[start], more=WHOLE if start == "c" else TRUNCATED)

    assert keys(taken(answer, tmp_path), tmp_path) == ["a", "b", "c", "d"]


TOKEN = "<NextContinuationToken>t1</NextContinuationToken>"
ENDLESS: dict[str, tuple[Answer, str]] = {
    "without a token, and the first page for ever": (
        lambda _: listing("a", more=TRUNCATED),
        "gives the same object twice",
    ),
    "one token for ever": (
        lambda query: listing(
            "b" if "continuation-token" in query else "a", more=TRUNCATED + TOKEN
        ),
        "gives the same continuation twice",
    ),
    "a page that comes again": (
        lambda query: listing(
            "a", more=WHOLE if "continuation-token" in query else TRUNCATED + TOKEN
        ),
        "gives the same object twice",
    ),
    "a key too few": (lambda _: listing("a", more="<KeyCount>2</KeyCount>"), "announces 2 keys"),
    "more, and nothing": (lambda _: listing(more=TRUNCATED), "neither a key nor a token for it"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_listing_that_does_not_prove_its_end_stops(name: str, tmp_path: Path) -> None:
    answer, what = ENDLESS[name]
    with pytest.raises(StorageError, match=f"cannot be read to its end: it .*{what}"):
        taken(answer, tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "<html><head><title>Log in</title></head><body>console</body></html>",
        "<!doctype html><p>not even XML<br>",
        '{"objects": []}',
        "",
        "<ListBucketResult>cut off",
        "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>",
        listing("a", size="many"),
        listing("a").replace("<Size>", "<Size>2</Size><Size>"),
        listing("a").replace("2025-01-01T", "2025-31-31T"),
        listing("a").replace("2025-01-01T00:00:00.000Z", "0001-01-01T00:00:00+23:00"),
        listing("a", size="-5"),
        listing("a", size="1_0"),
        listing("a", more="<IsTruncated>True</IsTruncated>"),
        '<?xml version="1.0" encoding="nope"?>' + listing("a"),
    ],
)
def test_an_answer_that_is_no_listing_is_no_empty_bucket(body: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as stopped:
        taken(lambda _: body, tmp_path)
    assert "something that is not a listing of a bucket" in str(stopped.value)
    assert "check that the endpoint is S3 itself" in str(stopped.value)


def test_an_error_with_status_200_is_no_empty_bucket(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as stopped:
        taken(lambda _: error("InternalError", 200), tmp_path)
    assert SECRET not in str(stopped.value)


def test_where_a_person_waits_the_bucket_is_asked_once() -> None:
    """A server that takes its time was asked five times, half a minute each."""
    with server(lambda _: error("SlowDown", 503)) as (endpoint, asked):
        with pytest.raises(StorageError):
            census.ask(place(endpoint))
        assert len(asked) == 1


def test_an_empty_bucket_is_one(tmp_path: Path) -> None:
    assert taken(lambda _: listing(), tmp_path).objects == 0


def test_an_object_without_an_etag_is_there_and_one_without_a_size_stops(tmp_path: Path) -> None:
    found = taken(lambda _: listing("a", etag=""), tmp_path)
    at = "2025-01-01T00:00:00+00:00"
    assert list(rowfile.read(tmp_path, found.file)) == [("a", "1", "", at)]
    with pytest.raises(StorageError, match="an object without key or size"):
        taken(lambda _: listing("a", size=""), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01T00:00:00.000Z",
        "2025-01-01T23:59:59Z",
        "2025-01-01T00:00:00.123456Z",
        "2025-01-01T00:00:00+10:00",
        "Wed, 01 Jan 2025 00:00:00 GMT",
        "20250101",
        "2025-02-29T00:00:00.000Z",
        "2025-01-01T24:00:00.000Z",
        "no time",
    ],
)
def test_a_time_is_read_as_botocore_reads_it(text: str) -> None:
    try:
        expected = parse_timestamp(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            storage.moment(text)
    else:
        assert storage.moment(text) == expected
        assert storage.moment(text).utcoffset() == expected.utcoffset()


def test_a_key_is_given_as_it_is_stored_though_it_is_sent_encoded(tmp_path: Path) -> None:
    odd = "scans/a b+c%20é&<\t>.pdf"

    def answer(query: Query) -> str:
        assert query["encoding-type"] == "url"  # a control character is no XML
        return listing(quote(odd), "plain", more=f"{WHOLE}<EncodingType>url</EncodingType>")

    assert keys(taken(answer, tmp_path), tmp_path) == ["plain", odd]


def test_the_usual_time_is_not_looked_at_in_every_form(tmp_path: Path) -> None:
    """That took three quarters of the processor time of a listing."""
    asked: list[str] = []
    usual = dateutil.parser.parse

    def slow(text: str, **more: object) -> object:
        asked.append(text)
        return usual(text, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dateutil.parser, "parse", slow)
        taken(lambda _: listing("a", "b"), tmp_path)
    assert asked == []


def test_markers_of_folders_are_no_files(tmp_path: Path) -> None:
    def answer(_: Query) -> str:
        marker = listing("scans/", size="0").replace("</ListBucketResult>", "")
        rest = listing("scans/1", "scans/odd/").partition("</MaxKeys>")[2].partition("</Is")[2]
        return marker + rest.partition(">")[2]

    assert keys(taken(answer, tmp_path), tmp_path) == ["scans/1", "scans/odd/"]


def test_prefixes_that_overlap_count_an_object_once(tmp_path: Path) -> None:
    def answer(query: Query) -> str:
        found = [k for k in ("scans/1", "scans/new/2") if k.startswith(query["prefix"])]
        return listing(*found)

    found = taken(answer, tmp_path, "scans/", "scans/new/", "scans/")
    assert (found.objects, found.bytes_stored) == (2, 2)


def test_a_key_is_found_in_either_form_of_unicode_and_twins_are_counted(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "scans/Müller.pdf") for form in ("NFC", "NFD"))
    wanted = columns.of([composed, apart, "c"])
    found = bucket.stored(taken(lambda _: listing(apart, "b"), tmp_path), tmp_path)
    assert found.reals(wanted).to_pylist() == [apart, apart, None]
    assert found.twins == 0
    found = bucket.stored(taken(lambda _: listing(apart, composed), tmp_path), tmp_path)
    assert found.reals(wanted).to_pylist() == [composed, apart, None]
    assert found.twins == 1


CAUSES = {
    "AccessDenied": (403, "may not list the bucket", "s3:ListBucket"),
    "NoSuchBucket": (404, "there is no such bucket", "correct bucket of [s3]"),
    "InvalidAccessKeyId": (403, "the access key is unknown", "correct access_key"),
    "SignatureDoesNotMatch": (403, "the secret key is wrong", "correct access_key"),
    "ExpiredToken": (400, "session token has expired", "with their session_token"),
    "RequestTimeTooSkewed": (403, "15 minutes apart", "set this machine's clock"),
    "PermanentRedirect": (301, "at another address", "correct region and endpoint"),
    "AuthorizationHeaderMalformed": (400, "in another region", "correct region of [s3]"),
    "NotImplemented": (501, "this server cannot list", "name an endpoint"),
    "SomethingNew": (418, "an unknown code", "look it up"),
}


@pytest.mark.parametrize("code", CAUSES)
def test_each_refusal_has_its_cause_and_its_advice(code: str, tmp_path: Path) -> None:
    status, what, todo = CAUSES[code]
    with pytest.raises(StorageError) as stopped:
        taken(lambda _: error(code, status), tmp_path)
    said = str(stopped.value)
    assert f"S3 refused to list the bucket ({code}, HTTP {status}): " in said
    assert what in said
    assert todo in said
    assert SECRET not in said
    assert stopped.value.__cause__ is None
    assert stopped.value.__suppress_context__


def test_a_refusal_without_a_word_is_told_by_its_status(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"\(AccessDenied, HTTP 403\)"):
        taken(lambda _: Reply("<html>Forbidden</html>", 403), tmp_path)
    for status, name in ((429, "SlowDown"), (502, "ServiceUnavailable")):
        busy = error("TooManyRequests", status)
        with (
            server(lambda _, busy=busy: busy) as (endpoint, _),
            pytest.raises(StorageError, match=rf"\({name}, HTTP {status}\)") as told,
        ):
            census.ask(place(endpoint))
        assert told.value.next == "run again later"
    for status in (407, 511):
        with pytest.raises(StorageError, match=rf"{status}\): this is no answer of S3, but of a"):
            taken(lambda _, s=status: Reply("<html>Log in</html>", s), tmp_path)
    for status in (301, 302, 307, 308):
        with pytest.raises(StorageError, match=rf"\(PermanentRedirect, HTTP {status}\)"):
            taken(lambda _, s=status: Reply("", s, {"Location": "http://127.0.0.1:9/"}), tmp_path)


def test_a_refusal_of_one_prefix_names_it(tmp_path: Path) -> None:
    """ "This account may not list the bucket" was said of one that had listed half of it."""

    def answer(query: Query) -> str | Reply:
        return error("AccessDenied", 403) if query["prefix"] == "b/" else listing("a/1")

    with pytest.raises(StorageError) as stopped:
        taken(answer, tmp_path, "a/", "b/")
    assert "bucket b, prefix b/, http" in stopped.value.where
    assert "for every prefix that [s3] names" in stopped.value.next


def test_a_bucket_of_another_region_is_told_with_the_region(tmp_path: Path) -> None:
    """A redirect has it in a header, and "correct region" was all that was said."""
    away = Reply(error("PermanentRedirect", 301).body, 301, {"x-amz-bucket-region": "eu-west-9"})
    with pytest.raises(StorageError, match="the bucket is at another address: eu-west-9"):
        taken(lambda _: away, tmp_path)


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (b"", "the connection to S3 was closed before it answered"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n<ListBucketResult>",
            "S3's answer broke off in the middle",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<List\r\n9\r\n<",
            "S3's answer broke off in the middle",
        ),
        (
            b"HTTP/1.1 403 No\r\nContent-Length: 999\r\n\r\n<Error>",
            "S3's answer broke off in the middle",
        ),
        (
            b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (storage.LARGEST_LISTING + (1 << 17)),
            "S3's answer is larger than any listing is",
        ),
    ],
)
def test_an_answer_that_is_cut_is_told_as_that(sent: bytes, what: str) -> None:
    with answering(sent) as (url, _), pytest.raises(StorageError) as told:
        census.ask(place(url))
    assert (told.value.what, told.value.exit_code) == (what, 3)


WELL = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


def test_an_answer_that_drips_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte renewed the time that was allowed: a listing of a megabyte had a year."""
    monkeypatch.setattr(storage, "WHOLE", 0.5)
    body = listing().encode()
    with (
        answering(WELL % (len(body), body), pause=0.02) as (url, _),
        pytest.raises(StorageError, match="S3's answer took too long to arrive"),
    ):
        census.ask(place(url))


def test_an_interim_answer_is_not_the_listing() -> None:
    body = listing("a").encode()
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with answering(hints + WELL % (len(body), body)) as (url, _):
        assert census.ask(place(url))[1] == "a"


def test_a_listing_that_was_cut_is_asked_for_again(tmp_path: Path) -> None:
    asked = []

    def answer(_: Query) -> Reply:
        asked.append(1)
        return Reply(listing("a"), more=999 if len(asked) == 1 else 0)

    assert keys(taken(answer, tmp_path), tmp_path) == ["a"]
    assert len(asked) == 2


def test_a_code_that_nobody_knows_is_not_told_as_another_one(tmp_path: Path) -> None:
    """The policy of the bucket was changed for an account that was suspended."""
    with pytest.raises(StorageError, match=r"\(AccountSuspended, HTTP 403\): an unknown code"):
        taken(lambda _: error("AccountSuspended", 403), tmp_path)


def test_a_server_that_is_busy_is_not_asked_twice_for_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as told:
        taken(lambda _: error("ServiceUnavailable", 503), tmp_path)
    assert told.value.next == "run again later"


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="S3 could not be reached"):
        census.take(place("http://127.0.0.1:9"), tmp_path)


# ---------------------------------------------------------------- whose word counts

ELSEWHERE = "http://127.0.0.1:9"


@pytest.fixture
def misleading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Variables and files of this machine that lead elsewhere, every one of them."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    config = f"endpoint_url = {ELSEWHERE}\nregion = eu-west-1\nca_bundle = /nowhere\n"
    (home / ".aws" / "config").write_text(f"[default]\n{config}[profile clinic]\n{config}")
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n"
        "[clinic]\naws_access_key_id = of-the-profile\naws_secret_access_key = s\n"
        "aws_session_token = its-token\n"
    )
    for name, value in {
        "HOME": str(home),
        "AWS_ENDPOINT_URL": ELSEWHERE,
        "AWS_ENDPOINT_URL_S3": ELSEWHERE,
        "AWS_PROFILE": "nobody",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "wrong",
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "AWS_SESSION_TOKEN": "wrong",
        "AWS_CONFIG_FILE": "/nowhere/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
        "AWS_CA_BUNDLE": "/nowhere/ca.pem",
        "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "HTTP_PROXY": ELSEWHERE,
        "HTTPS_PROXY": ELSEWHERE,
        "http_proxy": ELSEWHERE,
        "https_proxy": ELSEWHERE,
        "ALL_PROXY": ELSEWHERE,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    return home


@pytest.mark.usefixtures("misleading")
def test_no_variable_and_no_file_of_the_machine_changes_anything(tmp_path: Path) -> None:
    with server(lambda _: listing("a")) as (endpoint, seen):
        assert census.take(place(endpoint), tmp_path).objects == 1
    (headers,) = seen
    assert "Credential=key/" in headers["authorization"]
    assert "/us-east-1/s3/" in headers["authorization"]
    assert "x-amz-security-token" not in headers


def test_what_s3_is_comes_from_no_folder_of_the_user() -> None:
    folders = storage._session("").get_component("data_loader").search_paths
    assert [Path(folder).parts[-2:] for folder in folders] == [("botocore", "data")]


@pytest.mark.usefixtures("misleading")
def test_temporary_credentials_sign_with_their_token(tmp_path: Path) -> None:
    with server(lambda _: listing("a")) as (endpoint, seen):
        where = place(endpoint, session_token=FromEnvironment("a-token"))
        census.take(where, tmp_path)
    assert seen[0]["x-amz-security-token"] == "a-token"
    assert "a-token" not in repr(where)


@pytest.mark.usefixtures("misleading")
def test_a_profile_gives_its_credentials_and_neither_endpoint_nor_region(tmp_path: Path) -> None:
    with server(lambda _: listing("a")) as (endpoint, seen):
        where = place(endpoint, access_key=None, secret_key=None, profile="clinic")
        assert census.take(where, tmp_path).objects == 1
    assert "Credential=of-the-profile/" in seen[0]["authorization"]
    assert "/us-east-1/s3/" in seen[0]["authorization"]
    assert seen[0]["x-amz-security-token"] == "its-token"


@pytest.mark.usefixtures("misleading")
def test_a_profile_that_is_not_there_is_told(tmp_path: Path) -> None:
    where = place("http://127.0.0.1:9", access_key=None, secret_key=None, profile="other")
    with pytest.raises(StorageError, match="there is no such profile"):
        census.take(where, tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        {"profile": "clinic"},  # beside the keys
        {"access_key": None},
        {"access_key": None, "secret_key": None},
        {"access_key": None, "secret_key": None, "session_token": FromEnvironment("t")},
        {"session_token": "not from the environment"},
    ],
)
def test_s3_is_signed_in_one_way(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"profile|must not hold a secret"):
        place("http://127.0.0.1:9", **given)
