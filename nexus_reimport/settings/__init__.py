"""Environments and secrets, read once.

An environment is one TOML file, ``runbook/environments/<name>.toml``. A secret is never in it: a
value ``{ env = "NAME" }`` is taken from the environment variable NAME, or from the git-ignored
file ``.env.<name>`` beside the TOML file, which must have mode 0600. No default names an
environment.

What is not a secret is recorded and shown, so that no address, name or argument may hold one.
"""

from __future__ import annotations

import dataclasses
import os
import re
import ssl
import tomllib
from collections.abc import Callable, Iterator, Mapping
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
SHEET = "manual.xlsx"  # of values that only people know
FOLDER_VARIABLE = "NEXUS_REIMPORT_ENVIRONMENTS"


class EnvironmentKind(StrEnum):
    """What an environment is for; ``prod`` asks for more before it lets anything happen."""

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
    """Text that came from an environment variable: the only text a secret may be."""

    __slots__ = ()


def _only_from_environment(value: object) -> object:
    if not isinstance(value, _FromEnvironment):
        raise ValueError('write { env = "NAME" }: a secret has no place in this file')
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
    """Where Nexus is. Beyond loopback and sockets, ``verify-full`` or a reason not to."""

    host: Host
    port: int = 5432
    database: Name
    user: Name
    password: Secret
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    sslmode_waiver: str = ""
    sslrootcert: str = ""
    sslcert: str = ""  # a client certificate and its key, where the server asks for one
    sslkey: str = ""
    binaries: Path | None = None  # folder of pg_dump and pg_restore, of the server's major version
    lock_wait: float = Field(default=30.0, gt=0)  # seconds that we try to get our locks
    max_writers_wait: float = Field(default=60.0, gt=0)  # seconds that others may wait for us

    @property
    def is_local(self) -> bool:
        """Whether the connection never leaves this machine."""
        return self.host in LOOPBACK or self.host.startswith("/")

    @model_validator(mode="after")
    def _encrypted(self) -> Postgres:
        if not self.is_local and self.sslmode != "verify-full" and not self.sslmode_waiver:
            raise ValueError(
                'sslmode must be "verify-full" beyond loopback, or sslmode_waiver give the reason'
            )
        return self


class ExportedFile(Strict):
    """How one exported file is written, where it is not as ``Exports`` says of all."""

    encoding: Encoding | None = None
    columns: tuple[str, ...] = ()
    dates: DateForm | dict[str, DateForm] | None = None  # of all columns, or of some by name
    decimal: DecimalSign | None = None


class Exports(Strict):
    """Files that somebody exported from FileMaker, and how their texts are written.

    The encoding is that of csv and tab files; ``dates`` that of every date which a file holds as
    text: declared, never tried one after the other. It names the order, `/`, `.` and `-` mean the
    same in it. ``decimal`` is the sign of numbers that are text. ``columns`` are the fields, in
    their order, of files that have no line of headers and are not the mapping's own. ``files``
    says of single files, by name, what is otherwise with them.
    """

    folder: Path
    encoding: Encoding = "utf-8"
    dates: DateForm | None = None
    decimal: DecimalSign | None = None
    columns: dict[str, tuple[str, ...]] = {}
    files: dict[str, ExportedFile] = {}

    @field_validator("columns", "files")
    @classmethod
    def _each_once(cls, by_file: dict[str, Any]) -> dict[str, Any]:
        names = {composed(name): said for name, said in by_file.items()}
        if len(names) != len(by_file):
            raise ValueError("two names of files differ only in how their letters are composed")
        return names

    @model_validator(mode="after")
    def _columns_once(self) -> Exports:
        if any(name in self.columns for name, file in self.files.items() if file.columns):
            raise ValueError("columns: a file has them under `columns` and under `files`")
        return self

    def file(self, name: str) -> ExportedFile:
        """What holds for the file ``name``: its own, else what is said of all."""
        name = composed(name)
        own = self.files.get(name, ExportedFile())
        return own.model_copy(
            update={
                "encoding": own.encoding or self.encoding,
                "columns": own.columns or self.columns.get(name, ()),
                "dates": own.dates or self.dates,
                "decimal": own.decimal or self.decimal,
            }
        )


class FileMaker(Strict):
    """Where the source is, and by which channel each table is read. Read only.

    ``channel`` is for all sources of the mapping that ``channels`` does not name. ``tables`` are
    names of layouts, table occurrences or files where they differ from the mapping's. ``workers``
    tables are read at a time, ``page`` records at a time; a weak server gets a ``pause`` (seconds)
    before each page.
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
    page: int = Field(default=1000, ge=1, le=10_000)
    workers: int = Field(default=4, ge=1, le=4)
    pause: float = Field(default=0.0, ge=0, le=60)

    @model_validator(mode="after")
    def _each_channel_has_its_place(self) -> FileMaker:
        used = {self.channel, *self.channels.values()}
        if used - {"exports"} and not (self.url and self.user and self.password):
            raise ValueError("url, user and password: needed by data_api and odata")
        if "exports" in used and self.exports is None:
            raise ValueError("exports: the folder of the files is missing")
        return self

    def channel_of(self, source: str) -> Channel:
        """The channel by which ``source`` of the mapping is read."""
        return self.channels.get(source, self.channel)


class S3(Strict):
    """Where the files of documents and images are. Listed, never written.

    Signed with keys, temporary ones with their ``session_token``, or with the credentials of a
    ``profile`` in this machine's AWS files.
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
            raise ValueError("profile, or access_key and secret_key: give one of both")
        if not self.profile and not all(keys):
            raise ValueError("access_key and secret_key are missing, or the name of a profile")
        return self


class Rehearsing(Strict):
    """Where a run is rehearsed: on the real server, or on another one of the same major version."""

    server: Postgres | None = None  # its ``database`` is where we connect to make the copy


class EntityDecisions(Strict):
    """What becomes of rows that FileMaker does not bring back, and of edits made in Nexus.

    ``when_different`` maps a column (``column``, ``column.key`` or ``column.part``; ``*`` for all
    others) to who is right where both hold another value. ``past_scheduled`` says whether what is
    over and still called scheduled is completed.
    """

    not_in_filemaker: Decision | None = None
    left_out_by_rule: Decision | None = None
    no_filemaker_id: Decision | None = None
    past_scheduled: Literal["keep", "completed"] | None = None
    when_different: dict[str, Different] = {}

    def of(self, cause: Cause) -> Decision | None:
        """The decision for rows of ``cause``; None while nobody has decided."""
        chosen: Decision | None = getattr(self, cause.value)
        return chosen


class Waiver(Strict):
    """Lets one check be off by at most so many: a signed and dated limit."""

    check: str
    at_most: int = Field(ge=0)
    reason: str = Field(min_length=1)
    who: str = Field(min_length=1)
    until: date

    @field_validator("until", mode="before")
    @classmethod
    def _a_day(cls, value: object) -> object:
        """A date, or a text that is one; pydantic would take numbers and moments as well."""
        try:
            day = date.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            day = None
        if type(day) is not date:
            raise ValueError("must be a day, as 2026-12-31")
        return day


class Hooks(Strict):
    """The clinic's own commands around an execution: a maintenance page up, and down again.

    Each is a list of arguments, started without a shell. Both must be safe to run twice, and
    ``leave`` without ``enter``: after a kill nobody can know how far ``enter`` came.
    """

    enter: Command = ()
    leave: Command = ()
    timeout: float = Field(default=60.0, gt=0)  # seconds, for each of them

    @field_validator("enter", "leave")
    @classmethod
    def _a_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and "/" in command[0] and not command[0].startswith("/"):
            raise ValueError("the program must be a name found in PATH, or its whole path")
        if any(not part or "\0" in part for part in command):
            raise ValueError("an argument is empty")
        return command

    @model_validator(mode="after")
    def _both(self) -> Hooks:
        if bool(self.enter) != bool(self.leave):
            raise ValueError("enter and leave belong together: give both, or neither")
        return self


class Folders(Strict):
    """Where records and private files go; relative to the environment's file."""

    runs: Path
    private: Path


class Settings(Strict):
    """One environment, complete and checked."""

    name: Name
    kind: EnvironmentKind
    sandbox: bool = False
    mapping: str = "nexus"
    timezone: str
    postgres: Postgres
    filemaker: FileMaker
    s3: S3
    rehearsal: Rehearsing = Rehearsing()
    folders: Folders
    hooks: Hooks = Hooks()
    decisions: dict[str, EntityDecisions] = {}
    waivers: tuple[Waiver, ...] = ()
    counts_may_differ: float = Field(default=0.05, ge=0, le=1)
    dev_environment: str = ""  # prod only: whose COMPLETE record must come first

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
            raise ValueError("dev_environment: name the environment that was run before")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The clinic's time zone: FileMaker's wall clock."""
        return ZoneInfo(self.timezone)

    def decisions_for(self, entity: str) -> EntityDecisions:
        """The decisions for ``entity``; none made where the file has none."""
        return self.decisions.get(entity, EntityDecisions())

    @property
    def rehearsal_server(self) -> Postgres:
        """Where the restored copy is made."""
        return self.rehearsal.server or self.postgres

    @property
    def scratch_register(self) -> Path:
        """The private folder in which databases of our own making are written down."""
        return self.folders.private / self.name / "scratch"

    @property
    def sheet(self) -> Path:
        """Where people put the workbook of values that only they know."""
        return self.folders.private / self.name / SHEET

    def public(self) -> dict[str, Any]:
        """Everything but secrets and hosts' credentials, as JSON values for the record."""
        return self.model_dump(
            mode="json",
            exclude={
                "postgres": {"password"},
                "rehearsal": {"server": {"password"}},
                "filemaker": {"password"},
                "s3": {"access_key", "secret_key", "session_token"},
            },
        )


def folder() -> Path:
    """The folder of environment files: from NEXUS_REIMPORT_ENVIRONMENTS, else the checkout's."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else CHECKOUT / "runbook" / "environments"


def every(broken: Callable[[str, SettingsError], None] | None = None) -> Iterator[Settings]:
    """The environments that can be loaded; ``broken`` hears of each other one."""
    for name in names():
        try:
            yield load(name)
        except SettingsError as error:
            if broken:
                broken(name, error)


def names(environments: Path | None = None) -> list[str]:
    """The environments that there are, whole or broken; a mapping beside them is none."""
    files = sorted((environments or folder()).glob("*.toml"))
    return [path.stem for path in files if not _is_mapping(path)]


def _is_mapping(path: Path) -> bool:
    """Whether a TOML file is a mapping, even one that cannot be read as TOML."""
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
    """The settings of ``environment``, an empty name read from NEXUS_REIMPORT_ENVIRONMENT.

    Raises:
        SettingsError: all problems of the file at once. Nothing was read or written beyond it.
    """
    name = environment or os.environ.get(ENVIRONMENT_VARIABLE, "")
    where = environments or folder()
    path = where / f"{name}.toml"
    if not name or not path.is_file() or _is_mapping(path):
        known = ", ".join(names(where)) or "none"
        raise SettingsError(
            f"no environment is called {name!r}" if name else "no environment was named",
            where=f"known: {known}",
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
            next="fix the file and start again",
        )
    return settings


def _twins(path: Path) -> Iterator[str]:
    """Other files whose names differ from this one's only in case: on some disks one folder."""
    for other in names(path.parent):
        if other != path.stem and other.casefold() == path.stem.casefold():
            yield f"{other}.toml beside it differs only in case: the records of both would mix"


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _read(path: Path) -> tuple[dict[str, Any], list[str], set[str]]:
    """The file with its secrets put in; what is wrong; the places whose secrets are not there."""
    try:
        raw = tomllib.loads(textfile.read(path))
    except textfile.Undecodable as error:
        return {}, [error.told(path)], set()
    except tomllib.TOMLDecodeError as error:
        return {}, [f"not a TOML file: {error}"], set()
    except OSError as error:
        return {}, [f"{path.name}: cannot be read: {error.strerror}"], set()
    problems = [
        f"{_dotted(place)}: holds what looks like a login or a token: it is recorded and shown;"
        ' a secret is written as { env = "NAME" }'
        for place, text in _texts(raw)
        if credentials.suspected(text)
    ]
    secrets = _Secrets.read(path.parent / f".env.{path.stem}", problems)
    resolved = secrets.put_into(raw, ())
    return resolved, problems, secrets.unset


def _texts(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a file, with where it stands."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, held in value.items():
            yield from _texts(held, (*place, name))
    elif isinstance(value, list):
        for number, held in enumerate(value):
            yield from _texts(held, (*place, str(number)))


@dataclasses.dataclass(frozen=True, slots=True)
class _Secrets:
    """What environment variables and ``.env.<name>`` hold, and the problems found on the way."""

    file: str
    values: Mapping[str, str]
    problems: list[str]
    is_readable: bool
    unset: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def read(cls, path: Path, problems: list[str]) -> _Secrets:
        """Environment variables, and the file at ``path`` where a variable is not set."""
        found: dict[str, str] = {}
        wrong = list(credentials.read(path, found))
        problems += wrong
        return cls(path.name, {**found, **os.environ}, problems, not wrong)

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
                f"{_dotted(place)}: env must be the name of a variable, such as NEXUS_DEV_PASSWORD:"
                " capital letters, digits and _; the secret itself has no place in this file"
            )
        elif self.is_readable:
            self.problems.append(
                f"{name}: not set; export it, or put it into {self.file} (mode 0600)"
            )
        return _FromEnvironment("0")


def _absolute(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    """``raw`` with its folders and files made absolute, seen from the environment's file."""

    def whole(place: Any) -> Any:
        return (base / place).resolve() if isinstance(place, str) else place

    folders, source = raw.get("folders"), raw.get("filemaker")
    if isinstance(folders, dict):
        raw = {**raw, "folders": {name: whole(place) for name, place in folders.items()}}
    if isinstance(source, dict) and isinstance(source.get("exports"), dict):
        exports = {**source["exports"], "folder": whole(source["exports"].get("folder"))}
        raw = {**raw, "filemaker": {**source, "exports": exports}}
    for name in ("filemaker", "s3"):
        part = raw.get(name)
        if isinstance(part, dict) and "ca_file" in part:
            raw = {**raw, name: {**part, "ca_file": whole(part["ca_file"])}}
    return raw
