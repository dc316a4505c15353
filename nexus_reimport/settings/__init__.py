"""Environments and secrets, read once.

An environment is one TOML file, ``runbook/environments/<name>.toml``. A secret is never in it: a
value ``{ env = "NAME" }`` is taken from the environment variable NAME, or from the git-ignored
file ``.env.<name>`` beside the TOML file, which must have mode 0600. No default names an
environment.

Everything else in the file is recorded and shown. So an address, a name or an argument that holds a
secret is refused.
"""

from __future__ import annotations

import dataclasses
import os
import re
import ssl
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from nexus_reimport import CHECKOUT
from nexus_reimport.errors import SettingsError
from nexus_reimport.files import textfile
from nexus_reimport.forms import DateForm, DecimalSign
from nexus_reimport.settings import credentials
from nexus_reimport.settings.credentials import LOOPBACK
from nexus_reimport.text import composed

ENVIRONMENT_VARIABLE = "NEXUS_REIMPORT_ENVIRONMENT"
SHEET = "manual.xlsx"  # the workbook of values that only people know
FOLDER_VARIABLE = "NEXUS_REIMPORT_ENVIRONMENTS"


class EnvironmentKind(StrEnum):
    """What an environment is for; ``prod`` has more conditions before anything is written."""

    DEV = "dev"
    PROD = "prod"


class Cause(StrEnum):
    """Why FileMaker does not bring a row of Nexus back."""

    NOT_IN_FILEMAKER = "not_in_filemaker"
    LEFT_OUT_BY_RULE = "left_out_by_rule"
    NO_FILEMAKER_ID = "no_filemaker_id"


Channel = Literal["data_api", "odata", "exports"]
Decision = Literal["keep", "purge"]
Different = Literal["filemaker", "nexus"]
Encoding = Literal["utf-8", "utf-16", "windows-1252", "macroman"]

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)


class _FromEnvironment(str):
    """Text that came from an environment variable. A secret is accepted in no other form."""

    __slots__ = ()


def _only_from_environment(value: object) -> object:
    if not isinstance(value, _FromEnvironment):
        raise ValueError('write { env = "NAME" } instead: this file must not hold a secret')
    return str(value)


def _never_from_environment(value: object) -> object:
    if isinstance(value, list | tuple) and any(isinstance(v, _FromEnvironment) for v in value):
        raise ValueError(credentials.NOT_IN_ARGUMENTS)
    return value


Secret = Annotated[SecretStr, BeforeValidator(_only_from_environment)]
Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_never_from_environment),
    AfterValidator(credentials.arguments),
]
Address = Annotated[str, AfterValidator(credentials.address)]
Host = Annotated[str, AfterValidator(credentials.host)]
Name = Annotated[str, AfterValidator(credentials.name)]


def _certificates(path: Path) -> Path:
    # Opened when the settings are read, so that a wrong file is found before the run begins.
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:  # an SSLError is one
        reason = (
            "holds no certificate (PEM)"
            if error.strerror is None or isinstance(error, ssl.SSLError)
            else f"cannot be read: {error.strerror}"
        )
        raise ValueError(f"the file of the certificate authority {reason}") from None
    return path


Authority = Annotated[Path, AfterValidator(_certificates)]


class Strict(BaseModel):
    """A frozen part of a file: unknown names are errors, and no error repeats a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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
        return self.host in LOOPBACK or self.host.startswith("/")

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
    columns: tuple[str, ...] = ()
    dates: DateForm | dict[str, DateForm] | None = None  # for all columns, or column by column
    decimal: DecimalSign | None = None


class Exports(Strict):
    """Files that a person exported from FileMaker, and how their texts are written.

    ``encoding`` is for csv and tab files. ``dates`` is the order of day, month and year in dates
    that a file holds as text; `/`, `.` and `-` mean the same. ``decimal`` is the decimal sign of
    numbers that are text. ``columns`` gives, file by file, the fields of a file without a header
    line, in order, if the mapping does not give them. ``files`` overrides these for single files.
    """

    folder: Path
    encoding: Encoding = "utf-8"
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


class S3(Strict):
    """Where the files of documents and images are. They are listed, never read or written.

    Requests are signed with keys (temporary ones need their ``session_token``), or with the
    credentials of a ``profile`` in this machine's AWS files.
    """

    bucket: str
    region: str
    endpoint: Address = ""  # empty: the provider's own
    prefixes: tuple[str, ...] = ("",)
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    profile: str = ""
    ca_file: Authority | None = None  # of the authority that signed the endpoint's certificate

    @model_validator(mode="after")
    def _signed_in_one_way(self) -> S3:
        keys = (self.access_key, self.secret_key)
        if self.profile and any((*keys, self.session_token)):
            raise ValueError("give either profile, or access_key and secret_key, not both")
        if not self.profile and not all(keys):
            raise ValueError("access_key and secret_key are missing; give them, or a profile")
        return self


class Rehearsing(Strict):
    """Where a run is rehearsed: on the real server, or another one of the same major version."""

    server: Postgres | None = None  # its ``database`` is where we connect to make the copy


class EntityDecisions(Strict):
    """What becomes of rows that FileMaker does not bring back, and of edits made in Nexus.

    ``when_different`` maps a column (``column``, ``column.key`` or ``column.part``; ``*`` for all
    others) to the side whose value is used if the two differ. ``past_scheduled`` says whether an
    appointment that is over and still has the status scheduled becomes completed.
    """

    not_in_filemaker: Decision | None = None
    left_out_by_rule: Decision | None = None
    no_filemaker_id: Decision | None = None
    past_scheduled: Literal["keep", "completed"] | None = None
    when_different: dict[str, Different] = {}

    def of(self, cause: Cause) -> Decision | None:
        """The decision for rows of ``cause``; None while nobody has decided."""
        decision: Decision | None = getattr(self, cause.value)
        return decision


class Waiver(Strict):
    """A signed, dated limit on the number of items that may offend one check."""

    check: str
    at_most: int = Field(ge=0)
    reason: str = Field(min_length=1)
    who: str = Field(min_length=1)
    until: date

    @field_validator("until", mode="before")
    @classmethod
    def _a_day(cls, value: object) -> object:
        """A date, or its text. pydantic alone would also accept a number or a timestamp."""
        try:
            day = date.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            day = None
        if type(day) is not date:
            raise ValueError("must be a date, such as 2026-12-31")
        return day


class Hooks(Strict):
    """The clinic's own commands around an execution: put a maintenance page up, take it down.

    Each is a list of arguments, started without a shell. Both must be safe to run twice, and
    ``leave`` also without ``enter``: after a kill nobody knows how far ``enter`` came.
    """

    enter: Command = ()
    leave: Command = ()
    timeout: float = Field(
        default=60.0, gt=0
    )  # seconds, for each: no run may wait for a hook forever

    @field_validator("enter", "leave")
    @classmethod
    def _a_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and "/" in command[0] and not command[0].startswith("/"):
            raise ValueError("the program must be a name that is in PATH, or an absolute path")
        if any(not part or "\0" in part for part in command):
            raise ValueError("an argument is empty, or holds a zero byte")
        return command

    @model_validator(mode="after")
    def _both(self) -> Hooks:
        if bool(self.enter) != bool(self.leave):
            raise ValueError("enter and leave belong together: give both, or neither")
        return self


class Signing(Strict):
    """The SSH key that signs each sealed record, whose it is, and who may sign.

    ``key`` is a private key, or a public one whose private half an SSH agent holds. ``who`` and
    ``allowed_signers`` are as ``ssh-keygen -Y verify`` takes them.
    """

    key: Path
    who: Name
    allowed_signers: Path | None = None


class Archive(S3):
    """Where each sealed record is kept as one file that nobody can delete before its day.

    The bucket must have Object Lock. It is another one than that of documents and images, and its
    account may write there and nothing else.
    """

    prefix: str = "nexus-reimport/"
    days: int = Field(ge=1, le=36_500)
    mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"


class Recording(Strict):
    """What is done with a sealed record besides; nothing, unless the environment's file asks."""

    signature: Signing | None = None
    archive: Archive | None = None


class Folders(Strict):
    """Where records and private files go; a relative path starts at the environment's file."""

    runs: Path
    private: Path


class Settings(Strict):
    """One environment, complete and checked."""

    name: Name
    kind: EnvironmentKind
    sandbox: bool = False
    mapping: str = "nexus"
    timezone: str  # FileMaker stores wall-clock times without a zone
    postgres: Postgres
    filemaker: FileMaker
    s3: S3
    rehearsal: Rehearsing = Rehearsing()
    folders: Folders
    hooks: Hooks = Hooks()
    record: Recording = Recording()
    decisions: dict[str, EntityDecisions] = {}
    waivers: tuple[Waiver, ...] = ()
    # Compared with the last run: counts that were typed into code once refused a correct export.
    counts_may_differ: float = Field(default=0.05, ge=0, le=1)
    dev_environment: str = ""  # prod only: this environment must have a COMPLETE record first

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError('no such time zone; write one like "Australia/Sydney"') from None
        return name

    @model_validator(mode="after")
    def _prod_needs_dev(self) -> Settings:
        if self.kind is EnvironmentKind.PROD and not self.dev_environment:
            raise ValueError("dev_environment is missing: prod names the environment to run first")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's time zone: FileMaker's wall clock."""
        return ZoneInfo(self.timezone)

    def decisions_for(self, entity: str) -> EntityDecisions:
        """The decisions for ``entity``; undecided if the file has none for it."""
        return self.decisions.get(entity, EntityDecisions())

    @property
    def rehearsal_server(self) -> Postgres:
        """Where the restored copy is made."""
        return self.rehearsal.server or self.postgres

    @property
    def scratch_register(self) -> Path:
        """The private folder that registers the scratch databases that we have made."""
        return self.folders.private / self.name / "scratch"

    @property
    def sheet(self) -> Path:
        """Where people put the by-hand sheet once it is filled in."""
        return self.folders.private / self.name / SHEET

    def public(self) -> dict[str, Any]:
        """Everything except secrets, as JSON values for the record."""
        return self.model_dump(
            mode="json",
            exclude={
                "postgres": {"password"},
                "rehearsal": {"server": {"password"}},
                "filemaker": {"password"},
                "s3": {"access_key", "secret_key", "session_token"},
                "record": {"archive": {"access_key", "secret_key", "session_token"}},
            },
        )


def folder() -> Path:
    """The folder of environment files: NEXUS_REIMPORT_ENVIRONMENTS, else the checkout's."""
    path = os.environ.get(FOLDER_VARIABLE)
    return Path(path) if path else CHECKOUT / "runbook" / "environments"


def every(broken: Callable[[str, SettingsError], None] | None = None) -> Iterator[Settings]:
    """The environments that can be loaded; ``broken`` is called for each of the others."""
    for name in names():
        try:
            yield load(name)
        except SettingsError as error:
            if broken:
                broken(name, error)


def names(environments: Path | None = None) -> list[str]:
    """The names of all environments, loadable or not. A mapping in the same folder is skipped."""
    files = sorted((environments or folder()).glob("*.toml"))
    return [path.stem for path in files if not _is_mapping(path)]


def _is_mapping(path: Path) -> bool:
    """Whether a file is a mapping, even if it is not valid TOML."""
    try:
        text = textfile.read(path)
    except (textfile.Undecodable, OSError):
        return False
    try:
        tables = tomllib.loads(text).keys()
    except tomllib.TOMLDecodeError:
        tables = dict.fromkeys(re.findall(r"^\s*\[+\s*\"?([\w-]+)", text, re.MULTILINE)).keys()
    return bool(tables & {"sources", "entities"}) and not tables & {"postgres", "filemaker"}


def load(environment: str, environments: Path | None = None) -> Settings:
    """The settings of ``environment``; if that is empty, of NEXUS_REIMPORT_ENVIRONMENT.

    Raises:
        SettingsError: all problems of the file at once. Nothing else was read, nothing written.
    """
    name = environment or os.environ.get(ENVIRONMENT_VARIABLE, "")
    where = environments or folder()
    path = where / f"{name}.toml"
    if not name or not path.is_file() or _is_mapping(path):
        known = ", ".join(names(where)) or "none"
        raise SettingsError(
            f"no environment is called {name!r}" if name else "no environment was named",
            where=f"known environments: {known}",
            next=f"name one of these, or set {ENVIRONMENT_VARIABLE}",
        )
    raw, problems, unset = _read(path)
    problems += _twins(path)
    try:
        settings = Settings.model_validate(_absolute(raw, where)) if raw else None
    except ValidationError as error:
        settings = None
        problems += [
            f"{_dotted(e['loc'])}: {_plain(e['msg'])}"
            for e in error.errors()
            if _dotted(e["loc"]) not in unset
        ]
    if settings is not None and settings.name != name:
        problems.append(f'name: is "{settings.name}", but the file is called {path.name}')
    if settings is None or problems:
        raise SettingsError(
            f"{path.name}: {len(problems)} problem(s)\n" + "\n".join(f"    {p}" for p in problems),
            where=str(path.name),
            next="fix the file, then start again",
        )
    return settings


def _twins(path: Path) -> Iterator[str]:
    """Files whose names differ from this one's only in case.

    Where file names do not regard case (macOS, Windows), both would write into one folder.
    """
    for other in names(path.parent):
        if other != path.stem and other.casefold() == path.stem.casefold():
            yield f"{other}.toml has the same name except for case: records of both could mix"


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _read(path: Path) -> tuple[dict[str, Any], list[str], set[str]]:
    """The file with its secrets filled in; the problems; the places whose secret is not set."""
    try:
        raw = tomllib.loads(textfile.read(path))
    except textfile.Undecodable as error:
        return {}, [error.message(path)], set()
    except tomllib.TOMLDecodeError as error:
        return {}, [f"is not valid TOML: {error}"], set()
    except OSError as error:
        return {}, [f"{path.name}: cannot be read: {error.strerror}"], set()
    problems = [
        f"{_dotted(place)}: looks like a login or a token, and this value is recorded and shown;"
        ' write a secret as { env = "NAME" }'
        for place, text in _texts(raw)
        if credentials.suspected(text)
    ]
    secrets = _Secrets.read(path.parent / f".env.{path.stem}", problems)
    resolved = secrets.put_into(raw, ())
    return resolved, problems, secrets.unset


def _texts(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a file, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*place, str(number)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Secrets:
    """The values of environment variables and of ``.env.<name>``, and the problems in them."""

    file: str
    values: Mapping[str, str]
    problems: list[str]
    is_readable: bool
    unset: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def read(cls, path: Path, problems: list[str]) -> _Secrets:
        """Environment variables, and the file at ``path`` for variables that are not set."""
        in_file: dict[str, str] = {}
        unreadable = list(credentials.read(path, in_file))
        problems += unreadable
        return cls(path.name, {**in_file, **os.environ}, problems, not unreadable)

    def put_into(self, value: Any, place: tuple[str, ...]) -> Any:
        """``value`` with each ``{ env = "NAME" }`` replaced by what NAME holds."""
        if isinstance(value, dict) and set(value) == {"env"}:
            return self._named(value["env"], place)
        if isinstance(value, dict):
            return {k: self.put_into(v, (*place, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [self.put_into(v, (*place, str(n))) for n, v in enumerate(value)]
        return value

    def _named(self, name: Any, place: tuple[str, ...]) -> _FromEnvironment:
        if isinstance(name, str) and self.values.get(name):
            return _FromEnvironment(self.values[name])
        self.unset.add(_dotted(place))
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            self.problems.append(
                f"{_dotted(place)}: env must be the name of a variable, such as NEXUS_DEV_PASSWORD"
                " (capital letters, digits and _); this file must not hold the secret itself"
            )
        elif self.is_readable:
            self.problems.append(
                f"{name} is not set: export it, or write it into {self.file} (mode 0600)"
            )
        return _FromEnvironment("0")  # a stand-in, so that the rest of the file is checked too


def _absolute(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    """``raw`` with absolute paths for its folders and files; a relative one starts at ``base``."""

    def absolute(path: Any) -> Any:
        return (base / path).resolve() if isinstance(path, str) else path

    folders, source = raw.get("folders"), raw.get("filemaker")
    if isinstance(folders, dict):
        raw = {**raw, "folders": {name: absolute(path) for name, path in folders.items()}}
    if isinstance(source, dict) and isinstance(source.get("exports"), dict):
        exports = {**source["exports"], "folder": absolute(source["exports"].get("folder"))}
        raw = {**raw, "filemaker": {**source, "exports": exports}}
    for name in ("filemaker", "s3"):
        raw = _with_paths(raw, name, ("ca_file",), absolute)
    if isinstance(recording := raw.get("record"), dict):
        recording = _with_paths(recording, "signature", ("key", "allowed_signers"), absolute)
        raw = {**raw, "record": _with_paths(recording, "archive", ("ca_file",), absolute)}
    return raw


def _with_paths(
    raw: dict[str, Any], part: str, names: Sequence[str], absolute: Callable[[Any], Any]
) -> dict[str, Any]:
    """``raw`` with absolute paths under these names of one of its parts."""
    given = raw.get(part)
    if not isinstance(given, dict):
        return raw
    return {**raw, part: given | {name: absolute(given[name]) for name in names if name in given}}
