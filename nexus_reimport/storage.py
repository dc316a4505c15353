"""A connection to S3 that uses only what the environment's file says.

No environment variable (``AWS_*``, proxies, certificate bundles) and no shared configuration of
this machine changes where a request goes or who signs it. From a named profile only the
credentials are read, never an endpoint or a region.

Source: botocore's configuration reference; Amazon S3 API Reference, "Error responses".
"""

from __future__ import annotations

import http.client
import math
import re
import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any
from xml.etree import ElementTree

import botocore.session
from botocore.config import Config
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfigValueStore,
    ConstantProvider,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from botocore.handlers import BUILTIN_HANDLERS
from botocore.loaders import Loader
from botocore.utils import parse_timestamp
from urllib3.exceptions import ProtocolError

from nexus_reimport import disks, environ, responses, settings
from nexus_reimport.errors import AGAIN, StorageError, StorageRefused, as_kind
from nexus_reimport.settings.certificates import unencrypted

SHARED = {"config_file": "~/.aws/config", "credentials_file": "~/.aws/credentials"}
_RIGHT = (
    "give the account s3:ListBucket on the bucket itself, for every prefix that [s3] names;"
    " s3:GetObject on its objects does not help"
)
_KEYS = "correct access_key and secret_key of [s3], or the secrets that they name"
_LATER = "run again later"
_OLD = "get new temporary credentials, with their session_token"
_CAUSES = {
    "AccessDenied": ("this account may not list the bucket", _RIGHT),
    "AllAccessDisabled": ("access to the bucket is switched off", "ask the provider"),
    "AccountProblem": ("there is a problem with the account", "ask the provider"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "correct region of [s3]"),
    "ExpiredToken": ("the session token has expired", _OLD),
    "InvalidToken": ("the session token is not valid", _OLD),
    "TokenRefreshRequired": ("the session token must be renewed", _OLD),
    "IllegalLocationConstraintException": (
        "the bucket is in another region",
        "correct region of [s3]",
    ),
    "InvalidAccessKeyId": ("the access key is unknown", _KEYS),
    "SignatureDoesNotMatch": ("the secret key is wrong", _KEYS),
    "InvalidBucketName": ("this is not a valid name of a bucket", "correct bucket of [s3]"),
    "NoSuchBucket": ("there is no such bucket", "correct bucket of [s3], or its endpoint"),
    "PermanentRedirect": (
        "the bucket is at another address",
        "correct region and endpoint of [s3]",
    ),
    "RequestTimeTooSkewed": (
        "the clock of this machine and that of S3 are more than 15 minutes apart",
        "set this machine's clock (NTP)",
    ),
    "SlowDown": ("too many requests", _LATER),
    "ServiceUnavailable": ("the service is busy", _LATER),
    "InternalError": ("the service failed", _LATER),
    "NotImplemented": ("this server cannot list", "name an endpoint that supports S3"),
    "MethodNotAllowed": ("this server cannot list", "name an endpoint that supports S3"),
}
_UNKNOWN = ("an unknown code", "look it up in S3's list of error codes")
_NO_CODE = (
    "this is no answer of S3, but of a proxy or a web server",
    "check endpoint of [s3], and what is between this machine and S3",
)
_OF_THE_SERVER = {
    "RequestTimeTooSkewed",
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "NotImplemented",
    "MethodNotAllowed",
}
_OF_SETTINGS = {
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "IllegalLocationConstraintException",
    "InvalidAccessKeyId",
    "InvalidBucketName",
    "InvalidToken",
    "NoSuchBucket",
    "PermanentRedirect",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_SURE = {"PermanentRedirect", "SlowDown", "ServiceUnavailable", "InternalError"}
# A HEAD request has no body, so no code: only its status is left.
_OF_STATUS = {
    # 302 is of a proxy that wants a login, or of a console.
    **dict.fromkeys((301, 302, 307, 308), "PermanentRedirect"),
    400: "",
    401: "InvalidAccessKeyId",
    403: "AccessDenied",
    404: "NoSuchBucket",
    405: "MethodNotAllowed",
    429: "SlowDown",
    500: "InternalError",
    501: "NotImplemented",
    # 502 and 504 are of a proxy.
    **dict.fromkeys((502, 503, 504), "ServiceUnavailable"),
}
# S3 declares no entities; one could make the parser grow without end.
_DECLARATION = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_ANSWERED = "before-parse.s3.*"
_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_NETWORK = "check endpoint and region of [s3], and the network; then run again"


_MAKING = threading.Lock()  # a session makes no two clients at once
_OWN_ENDPOINT: dict[str, Any] = {"ignore_configured_endpoint_urls": True}  # not in the stubs


RETRIES = 4  # of a request that was not answered, each after up to 30 s
WHOLE = 300.0  # seconds for one answer, even if bytes keep coming: a page of a listing is small
WHOLE_OBJECT = 3_600.0  # seconds: an image may be large, and the line slow
LARGEST_LISTING = 64 << 20  # bytes of one page: 1,000 keys of 1,024 bytes, each byte as %XX


def opened(place: settings.Bucket, *, lists_only: bool = True, retries: int = RETRIES) -> Any:
    """A client of S3 at ``place``; ``lists_only``: any answer that is no listing is an error.

    Else an answer may be an object, and may be large and take long.

    Raises:
        StorageError: the profile, the endpoint or the region cannot be used.
    """
    try:
        client = _client(place, retries)
        whole, largest = (WHOLE, LARGEST_LISTING) if lists_only else (WHOLE_OBJECT, math.inf)
        # botocore has no public way to its connections.
        responses.limit(client._endpoint.http_session._manager, whole, largest)  # noqa: SLF001
        return client if not lists_only else _listing_only(client)
    except (BotoCoreError, ValueError) as error:
        raise unreached(error, place) from None


def _client(place: settings.Bucket, retries: int) -> Any:
    config = Config(
        connect_timeout=5,  # seconds; the defaults of 60 hide a wrong address for minutes
        read_timeout=30,
        retries={"max_attempts": retries, "mode": "standard"},
        # Servers other than AWS often have no host name for each bucket.
        s3={"addressing_style": "path" if place.endpoint else "auto"},
        proxies={},
        **_OWN_ENDPOINT,
    )
    with _MAKING:
        # A profile's file is read each time: a long-lived page must see new credentials.
        session = _session(place.profile) if place.profile else _session_without_files()
        return session.create_client(
            "s3",
            region_name=place.region,
            endpoint_url=place.endpoint or None,
            verify=str(place.ca_file) if place.ca_file else True,
            config=config,
            **_credentials(place),
        )


def _listing_only(client: Any) -> Any:
    for event, handler, *first in BUILTIN_HANDLERS:  # ours replaces this one
        if event == _ANSWERED and first:
            client.meta.events.unregister(event, handler)
    client.meta.events.register_first("before-parse.s3.ListObjectsV2", _look_at)
    return client


class NoListing(Exception):
    """An answer with status 200 that is neither a listing nor an error of S3."""


def _look_at(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Stop at the page of a console or a proxy; an error with status 200 gets status 500.

    botocore takes anything that it cannot read for a failure of S3, and tries again. The objects
    are read here, as it takes ten times as long for what nobody asks of them.

    Raises:
        ValueError: the size or the time of an object is none.
    """
    body = response_dict["body"]
    if response_dict["status_code"] != 200:
        return
    try:
        root = None if _DECLARATION.search(body) else ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError:
        root = None
    kind = "" if root is None else _name(root)
    if kind == "Error":
        response_dict["status_code"] = 500
    elif root is None or kind != "ListBucketResult":
        raise NoListing
    elif any(_name(child) == "IsTruncated" and child.text not in _BOOLEAN for child in root):
        raise NoListing  # botocore takes it for false, and the rest of the bucket would be lost
    elif objects := [child for child in root if _name(child) == _OBJECT]:
        customized_response_dict[_OBJECT] = list(map(_object, objects))
        root[:] = [child for child in root if _name(child) != _OBJECT]
        response_dict["body"] = ElementTree.tostring(root)


def _object(element: ElementTree.Element) -> dict[str, Any]:
    """What a listing says of an object, as botocore would give it."""
    given: dict[str, Any] = {}
    for child in element:
        name = _name(child)
        if name in given:
            raise NoListing
        if name in _READ_AS:
            given[name] = _READ_AS[name](child.text or "")
    return given


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _credentials(place: settings.Bucket) -> dict[str, Any]:
    """The keys that sign; none if the profile's are used."""
    given = {
        "aws_access_key_id": place.access_key,
        "aws_secret_access_key": place.secret_key,
        "aws_session_token": place.session_token,
    }
    return {name: secret.get_secret_value() for name, secret in given.items() if secret}


@cache
def _session_without_files() -> botocore.session.Session:
    """The session of all clients whose keys are given: half of what a client takes to make."""
    return _session("")


def _session(profile: str) -> botocore.session.Session:
    """A session that reads no variable, and no file except for a profile's credentials.

    Every setting has botocore's own default: variables and files are not among its providers.
    """
    session = botocore.session.Session(profile=profile or None)
    session.register_component("data_loader", _loader())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    files = SHARED if profile else dict.fromkeys(SHARED, "/dev/null")
    given = {**files, "profile": profile or None}
    constant = {
        name: given.get(name, default)
        for name, (_, _, default, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    providers = {name: ConstantProvider(value) for name, value in constant.items()}
    session.register_component("config_store", ConfigValueStore(providers))
    if profile:
        if profile not in session.available_profiles:
            raise ProfileNotFound(profile=profile)
        resolver = session.get_component("credential_provider")
        for elsewhere in ("container-role", "iam-role"):  # of this machine, not of the profile
            resolver.remove(elsewhere)
    return session


def moment(text: str) -> datetime:
    """A time as S3 sends it. botocore tries every form of a date, which took half of a listing.

    Raises:
        ValueError: it is no time.
    """
    # A time that does not exist, such as 24:00, is left to botocore too: it raises.
    if _USUAL_TIME.fullmatch(text):
        return datetime.fromisoformat(text)
    parsed: datetime = parse_timestamp(text)
    return parsed


def _size(text: str) -> int:
    """By its form: int also takes -5, 1_0, blanks and the digits of every script."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("no size")
    return int(text)


_OBJECT = "Contents"
_BOOLEAN = ("true", "false")
_READ_AS: dict[str, Callable[[str], Any]] = {
    "Key": str,
    "Size": _size,
    "ETag": str,
    "LastModified": moment,
}


@cache
def _loader() -> Loader:
    """botocore's own description of S3, not one from a folder of this machine's user.

    It is read once per process, because that takes a quarter of a second.
    """
    return Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def where(place: settings.Bucket, prefix: str = "") -> str:
    """The ``where`` of an error; ``prefix`` is the part of the bucket that it is of."""
    at = place.endpoint or f"region {place.region}"
    part = f", prefix {prefix}" if prefix else ""
    return f"bucket {place.bucket}{part}, {at}"


def http_status(error: ClientError) -> int:
    """The HTTP status of S3's refusal; 0 where it has none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(error: ClientError) -> str:
    """S3's code of its refusal; "" where it has none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def wrong_setting(error: ClientError, place: settings.Bucket) -> tuple[str, str] | None:
    """Which setting of ``place`` S3 refuses, or that it was not S3 that answered, and what to do.

    None for any other refusal.
    """
    code, status = code_of(error), http_status(error)
    if code.isdecimal() or not code:  # S3 gives none of its own
        code = _OF_STATUS.get(status, "")
    if code in _OF_SETTINGS:
        what, todo = _CAUSES[code]
    elif not code and status not in _OF_STATUS:
        what, todo = _NO_CODE
    else:
        return None
    return what, todo.replace("[s3]", place.section)


def refused(
    error: ClientError,
    place: settings.Bucket,
    what_for: str = "to list the bucket",
    prefix: str = "",
) -> StorageError:
    """The error for S3's refusal. Of its answer only the code and a region are shown."""
    reply: dict[str, Any] = dict(error.response.get("Error", {}))
    status = http_status(error)
    code = code_of(error)
    if code not in _CAUSES:
        of_status = _OF_STATUS.get(status, "")
        # Of a code that we do not know, a status such as 403 would give the wrong cause.
        if not code or code.isdecimal() or of_status in _SURE:
            code = of_status or code
    is_of_s3 = status in _OF_STATUS or not (code == "" or code.isdecimal())
    what, todo = _CAUSES.get(code, _UNKNOWN if is_of_s3 else _NO_CODE)
    # A redirect has it in a header only.
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = reply.get("Region", "") or headers.get("x-amz-bucket-region", "")
    # The server's own text: only what can be the name of a region goes into a message.
    if (
        code in ("AuthorizationHeaderMalformed", "PermanentRedirect")
        and region.isascii()
        and region
    ):
        what = f"{what}: {region[:40]}"
    name = code if code.replace(".", "").isalnum() else "?"
    error_of_s3 = StorageError(
        f"S3 refused {what_for} ({name}, HTTP {status}): {what}",
        where=where(place, prefix),
        next=_there(place, todo if todo == _LATER else f"{todo}; then run again"),
    )
    is_refused = code in _CAUSES.keys() - _OF_THE_SERVER
    return as_kind(error_of_s3, StorageRefused) if is_refused else error_of_s3


def unreached(error: Exception, place: settings.Bucket) -> StorageError:
    """The error if S3 did not answer. The library's text may hold an address and is dropped."""
    if disk := disks.behind(error):  # such as no more open files, with which nothing is reached
        return StorageError(disk.what, where=where(place), next=f"{disk.fix}, {AGAIN}")
    error = _cause(error)
    what, todo = next((what, todo) for kind, what, todo in _FAILURES if isinstance(error, kind))
    if isinstance(error, SSLError):
        what, todo = unencrypted(str(error), "S3", place.section)
    elif todo == _NETWORK:
        todo = todo.replace("; then", f"{environ.unused_proxy()}; then")
    error_of_s3 = StorageError(what, where=where(place), next=_there(place, todo))
    return as_kind(error_of_s3, StorageRefused) if todo == _PROFILE else error_of_s3


def _cause(error: Exception) -> Exception:
    """The error that botocore has wrapped, where that tells more."""
    wrapped = getattr(error, "kwargs", {}).get("error", error)
    if isinstance(wrapped, ProtocolError) and isinstance(
        wrapped.args[-1], http.client.IncompleteRead
    ):
        return wrapped.args[-1]
    return wrapped if isinstance(wrapped, responses.TooSlow | responses.TooLarge) else error


def _there(place: settings.Bucket, todo: str) -> str:
    """What to do, in the part of the environment's file that describes ``place``."""
    return todo.replace(settings.S3.section, place.section)


_PROFILE = "correct profile of [s3], or write access_key and secret_key; then run again"
_FAILURES: tuple[tuple[type[Exception], str, str], ...] = (
    (responses.TooSlow, "S3's answer took too long to arrive", _NETWORK),
    (
        responses.TooLarge,
        "S3's answer is larger than any listing is",
        "check that the endpoint of [s3] is S3 itself; then run again",
    ),
    (http.client.IncompleteRead, "S3's answer broke off in the middle", _NETWORK),
    (ProfileNotFound, "there is no such profile in this machine's AWS files", _PROFILE),
    (NoCredentialsError, "the profile holds no credentials", _PROFILE),
    (PartialCredentialsError, "the profile's credentials are not complete", _PROFILE),
    (CredentialRetrievalError, "the profile's credentials could not be loaded", _PROFILE),
    (
        ParamValidationError,
        "this is not a valid name of a bucket",
        "correct bucket of [s3]; then run again",
    ),
    (ConnectTimeoutError, "S3 did not accept the connection in time", _NETWORK),
    (ReadTimeoutError, "S3 did not answer in time", _NETWORK),
    (EndpointConnectionError, "S3 could not be reached", _NETWORK),
    (ConnectionClosedError, "the connection to S3 was closed before it answered", _NETWORK),
    (ResponseStreamingError, "S3's answer broke off in the middle", _NETWORK),
    (IncompleteReadError, "S3's answer broke off in the middle", _NETWORK),
    (BotoCoreError, "a request to S3 failed", _NETWORK),
    (OSError, "a request to S3 failed", _NETWORK),
    (Exception, "the endpoint or the region of S3 is not valid", _NETWORK),
)
