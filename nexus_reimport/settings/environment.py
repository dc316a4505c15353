"""One environment as its file describes it: servers, folders, decisions, waivers, hooks."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from nexus_reimport.files import synced
from nexus_reimport.settings import credentials
from nexus_reimport.settings.servers import (
    S3,
    ApplicationAccess,
    Archive,
    FileMaker,
    Postgres,
    Rehearsing,
)
from nexus_reimport.settings.values import Command, Name, Strict
from nexus_reimport.settings.window import Window

_PROD = re.compile(r"(?<![a-z])prod(uction)?(?![a-z])")  # as a part of a name
_LONGEST_BELOW = 200  # bytes that the paths below a folder of records, or of private files, may add
BY_HAND_SHEET = "manual.xlsx"  # the workbook of values that only people know

Decision = Literal["keep", "purge"]
Different = Literal["filemaker", "nexus"]


class EnvironmentKind(StrEnum):
    """What an environment is for; ``prod`` has more conditions before anything is written."""

    DEV = "dev"
    PROD = "prod"


class Cause(StrEnum):
    """Why FileMaker does not bring a row of Nexus back."""

    NOT_IN_FILEMAKER = "not_in_filemaker"
    LEFT_OUT_BY_RULE = "left_out_by_rule"
    NO_FILEMAKER_ID = "no_filemaker_id"


class Write(StrEnum):
    """What of a wiped table is written: only rows that differ, or every row.

    Both leave the same rows, to the last byte. ``all`` deletes and inserts each of them, as the
    words of the procedure have it, and others wait longer for it.
    """

    DIFFERENCES = "differences"
    ALL = "all"


class EntityDecisions(Strict):
    """What becomes of rows that FileMaker does not bring back, and of edits made in Nexus.

    ``when_different`` maps a column (``column``, ``column.key`` or ``column.part``; ``*`` for all
    others) to the side whose value is used if the two differ. ``past_scheduled`` says whether an
    appointment that is over and still scheduled becomes what the mapping's rule says, or ``keep``.
    """

    not_in_filemaker: Decision | None = None
    left_out_by_rule: Decision | None = None
    no_filemaker_id: Decision | None = None
    past_scheduled: str | None = None
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
    """The clinic's own commands: around an execution, and for the news of a run.

    Each is a list of arguments, started without a shell. ``enter`` puts a maintenance page up and
    ``leave`` takes it down; both must be safe to run twice, and ``leave`` also without ``enter``:
    after a kill nobody knows how far ``enter`` came. ``told`` gets each run's result as JSON on its
    standard input.
    """

    enter: Command = ()
    leave: Command = ()
    told: Command = ()
    timeout: float = Field(default=60.0, gt=0)  # seconds for each: no run waits forever

    @field_validator("enter", "leave", "told")
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


class Asking(Strict):
    """What the workbook ``manual.xlsx`` asks. ``past``: also of appointments that are over."""

    past: bool = False


class Approving(Strict):
    """Who may approve, and what.

    ``second_person``: somebody else than the one who began the run. ``filemaker_edits``: what was
    edited in FileMaker since it was read is counted, or closes the approval.
    """

    second_person: bool = False
    filemaker_edits: Literal["count", "stop"] = "count"


class Signing(Strict):
    """The SSH key that signs each sealed record, whose it is, and who may sign.

    ``key`` is a private key, or a public one whose private half an SSH agent holds. ``who`` and
    ``allowed_signers`` are as ``ssh-keygen -Y verify`` takes them.
    """

    key: Path
    who: Name
    allowed_signers: Path | None = None


class Recording(Strict):
    """What is done with a sealed record besides; nothing, unless the environment's file asks."""

    signature: Signing | None = None
    archive: Archive | None = None


class Folders(Strict):
    """Where records and private files go; a relative path starts at the environment's file."""

    runs: Path
    private: Path

    @field_validator("runs", "private")
    @classmethod
    def _is_short_enough(cls, folder: Path) -> Path:
        try:
            (folder / ("x" * _LONGEST_BELOW)).lstat()
        except OSError as error:  # that it is not there is told where it is used
            if error.errno == errno.ENAMETOOLONG:
                raise ValueError("longer than the system takes: name a shorter path") from None
        return folder

    @field_validator("private")
    @classmethod
    def _stays_here(cls, folder: Path) -> Path:
        if program := synced.by(folder):
            raise ValueError(
                f"{program} copies this folder elsewhere, and patients' data is written there: name"
                " a folder that stays on this machine"
            )
        return folder

    @model_validator(mode="after")
    def _apart(self) -> Folders:
        # Records go to an archive, and private files are deleted some day: neither with the other.
        if self.runs.is_relative_to(self.private) or self.private.is_relative_to(self.runs):
            raise ValueError(
                "runs and private are one folder, or one lies in the other: records are archived,"
                " and patients' data must not be; name two folders that lie apart"
            )
        return self


def zone_problem(name: str) -> str:
    """Why a time zone cannot be used; "" if it can."""
    try:
        ZoneInfo(name)
    # ValueError: a name such as ../x is no place in the database of time zones.
    except (ZoneInfoNotFoundError, ValueError):
        return 'no such time zone; write one like "Australia/Sydney"'
    return ""


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
    application: ApplicationAccess | None = None
    rehearsal: Rehearsing = Rehearsing()
    folders: Folders
    hooks: Hooks = Hooks()
    window: Window | None = None
    approval: Approving = Approving()
    manual: Asking = Asking()
    record: Recording = Recording()
    decisions: dict[str, EntityDecisions] = {}
    write: Write = Write.DIFFERENCES
    waivers: tuple[Waiver, ...] = ()
    labels: tuple[str, ...] = ()  # patients' names that a record holds for something else
    # Compared with the last run: counts that were typed into code once refused a correct export.
    counts_may_differ: float = Field(default=0.05, ge=0, le=1)
    dev_environment: str = ""  # prod only: this environment must have a COMPLETE record first

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if problem := zone_problem(name):
            raise ValueError(problem)
        return name

    @model_validator(mode="after")
    def _archive_is_apart(self) -> Settings:
        archive = self.record.archive
        if archive and archive.place == self.s3.place:
            raise ValueError(
                "record.archive.bucket is the bucket of documents and images, into which nothing"
                " is ever written: name another one"
            )
        return self

    @model_validator(mode="after")
    def _prod_is_called_so(self) -> Settings:
        # dev's file, copied: as a dev, prod is executed without sign-off and without a run of dev
        is_called_prod = _PROD.search(self.name.lower()) is not None
        if is_called_prod and self.kind is EnvironmentKind.DEV:
            raise ValueError(
                'kind is "dev", but the name says prod: write kind = "prod", or another name'
            )
        return self

    @model_validator(mode="after")
    def _sandbox_is_on_this_machine(self) -> Settings:
        # prod's file, made of the sandbox's: nobody would be asked to sign
        if self.sandbox and (outside := list(self._outside())):
            raise ValueError(
                "sandbox = true is for the made-up clinic alone, whose servers are all on this"
                f" machine, and not {' or '.join(outside)}: remove that line"
            )
        return self

    def _outside(self) -> Iterator[str]:
        """The servers that are not on this machine."""
        if not self.postgres.is_local:
            yield f"PostgreSQL on {self.postgres.host}"
        if self.filemaker.url and not credentials.is_local(self.filemaker.url):
            yield f"FileMaker at {self.filemaker.url}"
        if not self.s3.is_local:
            yield f"S3 at {self.s3.endpoint or 'the provider'}"

    @model_validator(mode="after")
    def _prod_needs_dev(self) -> Settings:
        if self.kind is EnvironmentKind.PROD and not self.dev_environment:
            raise ValueError("dev_environment is missing: prod names the environment to run first")
        return self

    @model_validator(mode="after")
    def _window_in_order(self) -> Settings:
        if self.window is None:
            return self
        if skipped := self.window.skipped(self.zone):
            raise ValueError(
                f"window: {skipped} does not exist in {self.timezone}: the clocks skip it that"
                " night; write a time before or after it"
            )
        if not self.window.is_ordered(self.zone):
            raise ValueError("window: `to` is not later than `from`")
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
    def copies_servers(self) -> tuple[Postgres, ...]:
        """Where copies are made: for a rehearsal, and, for a restore, beside the database."""
        return (self.rehearsal_server, *((self.postgres,) if self.rehearsal.server else ()))

    @property
    def records_folder(self) -> Path:
        """The folder of this environment's records."""
        return self.folders.runs / self.name

    @property
    def private_folder(self) -> Path:
        """The folder of this environment's private files."""
        return self.folders.private / self.name

    @property
    def scratch_register(self) -> Path:
        """The private folder that registers the scratch databases that we have made."""
        return self.private_folder / "scratch"

    @property
    def by_hand_sheet(self) -> Path:
        """Where people put the by-hand sheet once it is filled in."""
        return self.private_folder / BY_HAND_SHEET

    def public(self) -> dict[str, Any]:
        """Everything except secrets, as JSON values for the record."""
        return self.model_dump(
            mode="json",
            exclude={
                "postgres": {"password"},
                "rehearsal": {"server": {"password"}},
                "filemaker": {"password"},
                "s3": {"access_key", "secret_key", "session_token"},
                "application": {"password"},
                "record": {"archive": {"access_key", "secret_key", "session_token"}},
            },
        )
