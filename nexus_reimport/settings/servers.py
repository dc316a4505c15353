"""The servers and files that a run reads and writes: Nexus, FileMaker, S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from nexus_reimport.forms import DateForm, DecimalSign
from nexus_reimport.settings import credentials
from nexus_reimport.settings.values import Address, Authority, Host, Name, Secret, Strict
from nexus_reimport.text import composed

Channel = Literal["data_api", "odata", "exports"]
Encoding = Literal["utf-8", "utf-16", "windows-1252", "macroman"]
Separator = Literal[",", ";"]


class Postgres(Strict):
    """Where Nexus is. Except on loopback and sockets: ``verify-full``, or a reason against it."""

    host: Host
    port: int = 5432
    database: Name
    user: Name
    password: Secret
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    sslmode_waiver: str = ""
    sslrootcert: str = ""
    sslcert: str = ""  # a client certificate and its key, if the server asks for one
    sslkey: str = ""
    # The folder of pg_dump and pg_restore. Their major version must equal the server's: pg_dump 15
    # refuses a server of version 18, and a dump by 18 does not restore into 15 without errors.
    binaries: Path | None = None
    lock_wait: float = Field(default=30.0, gt=0)  # seconds that we wait for our locks
    max_writers_wait: float = Field(default=60.0, gt=0)  # seconds that others may wait for us

    @property
    def is_local(self) -> bool:
        """Whether the connection never leaves this machine."""
        return credentials.is_own_host(self.host)

    @property
    def place(self) -> str:
        """The server and its database, for a message."""
        return f"postgres {self.host}:{self.port}/{self.database}"

    @model_validator(mode="after")
    def _encrypted(self) -> Postgres:
        if not self.is_local and self.sslmode != "verify-full" and not self.sslmode_waiver:
            raise ValueError(
                'sslmode must be "verify-full", unless host is on this machine'
                " or sslmode_waiver gives the reason"
            )
        return self


class ExportedFile(Strict):
    """How one exported file is written, where it differs from what ``Exports`` says of all."""

    encoding: Encoding | None = None
    separator: Separator | None = None
    columns: tuple[str, ...] = ()
    dates: DateForm | dict[str, DateForm] | None = None  # for all columns, or column by column
    decimal: DecimalSign | None = None


class Exports(Strict):
    """Files that a person exported from FileMaker, and how their texts are written.

    ``encoding`` is for csv, mer and tab files. ``separator`` stands between the values of csv and
    mer files: in a mer file FileMaker writes that of the system's language. ``dates`` is the order
    of day, month and year in dates that a file holds as text; `/`, `.` and `-` mean the same.
    ``decimal`` is the decimal sign of numbers that are text. ``columns`` gives, file by file, the
    fields of a file without a header line, in order, if the mapping does not give them. ``files``
    overrides these for single files.
    """

    folder: Path
    encoding: Encoding = "utf-8"
    separator: Separator = ","
    # Declared, never tried one form after the other: an earlier import that tried lost 2,842 birth
    # dates, and swapped day and month where the day was 12 or less.
    dates: DateForm | None = None
    decimal: DecimalSign | None = None
    columns: dict[str, tuple[str, ...]] = {}
    files: dict[str, ExportedFile] = {}

    @field_validator("columns", "files")
    @classmethod
    def _each_once(cls, by_file: dict[str, Any]) -> dict[str, Any]:
        by_name = {composed(name): value for name, value in by_file.items()}
        if len(by_name) != len(by_file):
            raise ValueError("two file names differ only in how their accented letters are encoded")
        return by_name

    @model_validator(mode="after")
    def _columns_once(self) -> Exports:
        if any(name in self.columns for name, file in self.files.items() if file.columns):
            raise ValueError(
                "columns: the same file has columns under `columns` and under `files`; keep one"
            )
        return self

    def file(self, name: str) -> ExportedFile:
        """How the file ``name`` is written: its own entry, else what holds for all files."""
        name = composed(name)
        override = self.files.get(name, ExportedFile())
        return override.model_copy(
            update={
                "encoding": override.encoding or self.encoding,
                "separator": override.separator or self.separator,
                "columns": override.columns or self.columns.get(name, ()),
                "dates": override.dates or self.dates,
                "decimal": override.decimal or self.decimal,
            }
        )


class FileMaker(Strict):
    """Where FileMaker is, and by which channel each table is read. Nothing is ever written there.

    ``channel`` is for all sources of the mapping that ``channels`` does not name. ``tables`` names
    layouts, table occurrences or files where they differ from the mapping's. ``workers`` tables
    are read at the same time, ``page`` records per request; ``pause`` (seconds) before each page
    spares a weak server.
    """

    database: Name
    url: Address = ""
    user: Name = ""
    password: Secret | None = None
    channel: Channel = "data_api"
    channels: dict[str, Channel] = {}
    tables: dict[str, str] = {}
    exports: Exports | None = None
    ca_file: Authority | None = None  # of the authority that signed the server's certificate
    page: int = Field(default=1000, ge=1, le=10_000)  # FileMaker's OData sends 10,000 at most
    workers: int = Field(default=4, ge=1, le=4)  # the host's web service died under load (HTTP 502)
    pause: float = Field(default=0.0, ge=0, le=60)

    @model_validator(mode="after")
    def _each_channel_has_its_place(self) -> FileMaker:
        used = {self.channel, *self.channels.values()}
        if used - {"exports"} and not (self.url and self.user and self.password):
            raise ValueError("url, user and password are required for data_api and odata")
        if "exports" in used and self.exports is None:
            raise ValueError("exports is missing: it names the folder of the exported files")
        return self

    def channel_of(self, source: str) -> Channel:
        """The channel by which ``source`` of the mapping is read."""
        return self.channels.get(source, self.channel)


class Bucket(Strict):
    """A bucket of S3, and who we are there.

    Requests are signed with keys (temporary ones need their ``session_token``), or with the
    credentials of a ``profile`` in this machine's AWS files.
    """

    section: ClassVar[str]  # of the environment's file, as a message names it

    bucket: str
    region: str
    endpoint: Address = ""  # empty: the provider's own
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    profile: str = ""
    ca_file: Authority | None = None  # of the authority that signed the endpoint's certificate

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return credentials.is_local(self.endpoint)

    @property
    def place(self) -> str:
        """The bucket and where it is: the same for all spellings of one place."""
        return credentials.bucket(self.bucket, self.endpoint)

    @model_validator(mode="after")
    def _signed_in_one_way(self) -> Self:
        keys = (self.access_key, self.secret_key)
        if self.profile and any((*keys, self.session_token)):
            raise ValueError("give either profile, or access_key and secret_key, not both")
        if not self.profile and not all(keys):
            raise ValueError("access_key and secret_key are missing; give them, or a profile")
        return self


class S3(Bucket):
    """Where the files of documents and images are: listed, some of them read, never written."""

    section: ClassVar[str] = "[s3]"

    prefixes: tuple[str, ...] = ("",)
    sample: int = Field(default=50, ge=0, le=100_000)  # objects read in full, before and after
    shared_with: tuple[str, ...] = ()  # environments that really have the same bucket


class Archive(Bucket):
    """Where each sealed record is kept as one file that nobody can delete before its day.

    The bucket must have Object Lock. It is another one than that of documents and images, and its
    account may write there, read that back, and nothing else.
    """

    section: ClassVar[str] = "[record.archive]"

    prefix: str = "nexus-reimport/"
    days: int = Field(ge=1, le=36_500)
    mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"


class ApplicationAccess(Strict):
    """Nexus's own HTTP API, which verification asks for what a person sees. It is optional.

    ``login`` is the path of its form to log in; ``sample`` is how many patients of each kind are
    searched for and opened.
    """

    url: Address = Field(min_length=1)
    user: Name
    password: Secret
    login: str = Field(default="/accounts/login/", pattern=r"^/[\w./-]*$")
    ca_file: Authority | None = None  # of the authority that signed its certificate
    timeout: float = Field(default=60.0, gt=0)  # seconds for one answer
    sample: int = Field(default=10, ge=1, le=1_000)


class Rehearsing(Strict):
    """Where a run is rehearsed: on the real server, or another one of the same major version."""

    server: Postgres | None = None  # its ``database`` is where we connect to make the copy
    self_test: bool = True  # on dev: also puts every kind of corruption into a copy
