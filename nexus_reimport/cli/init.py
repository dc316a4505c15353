"""``nexus-reimport init``: asks what an environment needs, tries it at once, writes its two files.

Nothing is written before all is answered; what a person breaks off leaves nothing behind.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nexus_reimport.cli.output import AsJson, give
from nexus_reimport.errors import ReimportError, SettingsError, StopError

if TYPE_CHECKING:
    from pydantic import BaseModel

Name = Annotated[str, typer.Argument(help="Name of the new environment, such as dev or prod.")]
AnswersFile = Annotated[
    str,
    typer.Option(
        "--answers",
        help="A TOML file with the answers, in the sections of an environment's file; - reads"
        " standard input. Secrets come from environment variables.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
NOTHING_WRITTEN = "no file was written"
_NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)
M = TypeVar("M", bound="BaseModel")


@dataclass(frozen=True, slots=True)
class Question:
    """One value of the file: what is asked, and what stands if nothing is answered."""

    key: str
    text: str
    default: str | int = ""
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret: asked for without showing it, and written into ``.env.<name>``."""

    key: str
    text: str
    suffix: str  # of its variable: NEXUS_<ENV>_<suffix>


@dataclass(slots=True)
class Draft:
    """What was answered so far: values by section and key, secrets by variable."""

    name: str
    values: dict[tuple[str, ...], str | int | None] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)  # typed: for the file of secrets
    exported: dict[str, str] = field(default_factory=dict)  # found among environment variables

    def variable(self, secret: Secret) -> str:
        """The name of the variable of one secret."""
        from nexus_reimport.settings import template

        return f"NEXUS_{template.variable(self.name)}_{secret.suffix}"

    def holds(self, name: str) -> str:
        """The value of a variable; "" if nobody has given it."""
        return self.secrets.get(name) or self.exported.get(name, "")


class Terminal:
    """Answers of a person: asked until they are usable."""

    def value(self, section: str, question: Question, default: str | int) -> str | int:
        """The answer, of the default's type."""
        hint = f" ({', '.join(question.choices)})" if question.choices else ""
        while True:
            shown = f" [{default}]" if default != "" else ""
            typed = _typed(f"  {question.text}{hint}{shown}: ").strip() or str(default)
            if problem := _problem(question, typed):
                _tell(f"  {problem}")
                continue
            return int(typed) if isinstance(question.default, int) else typed

    def secret(self, secret: Secret, variable: str, known: str) -> str:
        """The secret as typed; "" keeps the one that is known."""
        keep = f" [Enter: that of {variable}]" if known else ""
        while True:
            typed = getpass.getpass(f"  {secret.text}{keep}: ", stream=sys.stderr)
            if typed or known:
                return typed
            _tell(f"  it is needed; or break off, and export {variable} first")

    def again(self, error: ReimportError) -> bool:
        """Whether the section is asked again, after what was tried has failed."""
        _tell(f"\n{error}\n")
        return self.yes("  Answer these again?", default=True)

    def yes(self, text: str, *, default: bool) -> bool:
        """A question for yes or no."""
        while True:
            typed = _typed(f"{text} [{'Y/n' if default else 'y/N'}]: ").strip().lower()
            if typed in ("", "y", "yes", "n", "no"):
                return typed[0] == "y" if typed else default
            _tell("  answer y or n")


class Given:
    """Answers of a file: a missing one has its default, a wrong one ends the command."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def value(self, section: str, question: Question, default: str | int) -> str | int:
        """The answer of the file, or the default."""
        part = self._answers.get(section, {}) if section else self._answers
        value = part.get(question.key, default) if isinstance(part, dict) else default
        if not isinstance(value, str | int) or (problem := _problem(question, str(value))):
            raise SettingsError(
                f"{'.'.join(filter(None, (section, question.key)))}: "
                f"{problem if isinstance(value, str | int) else 'must be a text or a number'}",
                where="the answers",
                state=NOTHING_WRITTEN,
                next=f"add it there: {question.text}",
            )
        return value

    def secret(self, secret: Secret, variable: str, known: str) -> str:
        """A secret comes from its variable alone."""
        if not known:
            raise SettingsError(
                f"{variable} is not set: {secret.text}",
                state=NOTHING_WRITTEN,
                next=f"export {variable}, then run the command again",
            )
        return ""

    def again(self, error: ReimportError) -> bool:
        """Nobody can be asked again."""
        raise error


Asked = Terminal | Given
_GENERAL = (
    Question("kind", "Is it a dev or a prod environment?", "dev", choices=("dev", "prod")),
    Question("timezone", "Time zone of the clinic", "Australia/Sydney"),
)
_DEV = Question("dev_environment", "Environment that must be run to its end before", "dev")
_POSTGRES = (
    Question("host", "Host of Nexus's PostgreSQL"),
    Question("port", "Port", 5432),
    Question("database", "Database", "nexus"),
    Question("user", "Role", "nexus_reimport"),
    Secret("password", "Password of the role", "PG_PASSWORD"),
)
_AUTHORITY = Question(
    "sslrootcert",
    "Certificate of the authority that signed the server's (a PEM file)",
    may_be_empty=True,
)
_FILEMAKER = (
    Question("url", "Address of FileMaker Server, such as https://filemaker.example"),
    Question("database", "File"),
    Question("user", "Account that may read", "nexus_reader"),
    Secret("password", "Password of the account", "FILEMAKER_PASSWORD"),
)
_S3 = (
    Question("endpoint", "Endpoint of S3; Amazon's own if empty", may_be_empty=True),
    Question("bucket", "Bucket of documents and images"),
    Question("region", "Region", "ap-southeast-2"),
    Secret("access_key", "Access key", "S3_ACCESS_KEY"),
    Secret("secret_key", "Secret key", "S3_SECRET_KEY"),
)
_FOLDERS = (
    Question("runs", "Folder for records", "../../runs"),
    Question("private", "Folder for private files, patients' data", "../../private"),
)


def init(
    environment: Name,
    answers: AnswersFile = "",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Ask what a new environment needs, try each connection at once, write its two files.

    No secret is taken from the command line: it is typed unseen, or comes from its variable.
    """
    from nexus_reimport import settings as environments

    folder = environments.folder()
    path = folder / f"{environment}.toml"
    asked = _asked(answers)
    _require_name(environment)
    if path.exists() and not (overwrite or _may_overwrite(asked, path)):
        raise StopError(
            f"{path.name} exists",
            where=str(folder),
            state="it is unchanged",
            next="choose another name, or add --overwrite",
        )
    draft = Draft(environment, {("name",): environment})
    draft.exported.update(os.environ)
    _ask_all(asked, draft, path)
    written = _write(draft, path)
    give(
        {"environment": environment, "files": [str(p) for p in written]},
        "\n".join([f"written: {p}" for p in written])
        + f"\nnext: nexus-reimport doctor {environment}, then nexus-reimport adopt {environment}",
        as_json=as_json,
    )


def _asked(answers: str) -> Asked:
    if answers:
        try:
            text = sys.stdin.read() if answers == "-" else Path(answers).read_text(encoding="utf-8")
            return Given(tomllib.loads(text))
        except (OSError, ValueError) as error:  # TOMLDecodeError is one
            reason = error.strerror if isinstance(error, OSError) else "is not valid TOML"
            raise SettingsError(
                f"the answers cannot be read: {reason}",
                where=answers,
                state=NOTHING_WRITTEN,
                next="correct the file, or its name",
            ) from None
    if sys.stdin.isatty():
        return Terminal()
    raise SettingsError(
        "there is no terminal to ask on",
        state=NOTHING_WRITTEN,
        next="run the command in a terminal, or give --answers FILE (--help)",
    )


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            "the name of an environment has letters, digits, - and _ only",
            state=NOTHING_WRITTEN,
            next="choose another name, such as dev",
        )


def _may_overwrite(asked: Asked, path: Path) -> bool:
    if isinstance(asked, Given):
        return False
    return asked.yes(f"{path} exists. Replace it, and its .env file?", default=False)


def _ask_all(asked: Asked, draft: Draft, path: Path) -> None:
    from nexus_reimport.runbook import answering
    from nexus_reimport.settings import S3, FileMaker, Postgres

    _tell(f"{draft.name}: Enter takes what stands in brackets; Ctrl-C breaks off, nothing is left")
    kind = "prod" if "prod" in draft.name else "dev"
    _questions(asked, draft, "", [_GENERAL[0]], {"kind": kind})
    if draft.values["kind",] == "prod":
        _questions(asked, draft, "", [_DEV])
    _questions(asked, draft, "", [_GENERAL[1]])
    _tell("\nNexus")
    _section(asked, draft, "postgres", _of_postgres, Postgres, answering.postgres)
    _tell("\nFileMaker")
    _section(asked, draft, "filemaker", _of_filemaker, FileMaker, answering.filemaker)
    _tell("\nS3")
    _section(asked, draft, "s3", _of_s3, S3, answering.s3)
    _tell("\nFolders; a relative one starts at the environment's file")
    while True:
        _questions(asked, draft, "folders", _FOLDERS)
        try:
            _checked(draft, path)
            return
        except SettingsError as error:
            if not asked.again(error):
                raise


def _section(
    asked: Asked,
    draft: Draft,
    section: str,
    ask: Callable[[Asked, Draft], None],
    model: type[M],
    attempt: Callable[[M], str],
) -> None:
    """Ask a section until its server answers, or the person goes on without that."""
    while True:
        ask(asked, draft)
        try:
            _tell(f"  ok: {attempt(_as_model(draft, section, model))}")
            return
        except ReimportError as error:
            if not asked.again(error):
                return


def _of_postgres(asked: Asked, draft: Draft) -> None:
    from nexus_reimport.settings.credentials import LOOPBACK

    _questions(asked, draft, "postgres", _POSTGRES)
    host = str(draft.values["postgres", "host"])
    is_local = host in LOOPBACK or host.startswith("/")
    draft.values["postgres", "sslmode"] = "disable" if is_local else "verify-full"
    draft.values["postgres", "sslrootcert"] = None
    if not is_local:
        _questions(asked, draft, "postgres", [_AUTHORITY])


def _of_filemaker(asked: Asked, draft: Draft) -> None:
    _questions(asked, draft, "filemaker", _FILEMAKER)


def _of_s3(asked: Asked, draft: Draft) -> None:
    _questions(asked, draft, "s3", _S3)


def _questions(
    asked: Asked,
    draft: Draft,
    section: str,
    questions: Iterable[Question | Secret],
    defaults: dict[str, str] | None = None,
) -> None:
    """Ask each; what was answered before is the default."""
    for one in questions:
        if isinstance(one, Secret):
            variable = draft.variable(one)
            if typed := asked.secret(one, variable, draft.holds(variable)):
                draft.secrets[variable] = typed
            continue
        place = (section, one.key) if section else (one.key,)
        default = draft.values.get(place) or (defaults or {}).get(one.key) or one.default
        value = asked.value(section, one, default)
        draft.values[place] = None if value == "" else value


def _problem(question: Question, typed: str) -> str:
    """Why an answer cannot be used; "" if it can."""
    from nexus_reimport.settings.environment import zone_problem

    if not typed:
        return "" if question.may_be_empty else "an answer is needed"
    if question.choices and typed not in question.choices:
        return f"answer {' or '.join(question.choices)}"
    if isinstance(question.default, int) and not (typed.isdigit() and 0 < int(typed) < 65536):
        return "must be a number from 1 to 65535"
    return zone_problem(typed) if question.key == "timezone" else ""


def _as_model(draft: Draft, section: str, model: type[M]) -> M:
    """The section as the settings will have it.

    Raises:
        SettingsError: what does not fit, without its value.
    """
    from pydantic import ValidationError

    from nexus_reimport.settings import spelling

    raw: dict[str, Any] = {
        place[1]: value
        for place, value in draft.values.items()
        if place[0] == section and len(place) == 2 and value is not None
    }
    raw |= _secrets_of(draft, section)
    if section == "filemaker":
        raw |= {"channels": {"notes": "odata", "messages": "odata"}}  # as the template has it
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        listed = "; ".join(
            f"{'.'.join(map(str, m.place)) or section}: {m.text}"
            for m in spelling.mistakes(error, model)
        )
    raise SettingsError(listed, state=NOTHING_WRITTEN, next="answer again")


def _secrets_of(draft: Draft, section: str) -> Iterator[tuple[str, Any]]:
    from nexus_reimport.settings.values import FromEnvironment

    questions = {"postgres": _POSTGRES, "filemaker": _FILEMAKER, "s3": _S3}[section]
    for one in questions:
        if isinstance(one, Secret):
            yield one.key, FromEnvironment(draft.holds(draft.variable(one)))


def _text(draft: Draft) -> str:
    from nexus_reimport import CHECKOUT
    from nexus_reimport.settings import template

    kind = draft.values["kind",]
    path = CHECKOUT / "runbook" / "environments" / f"{kind}.toml.template"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise SettingsError(
            "the template of an environment is not here",
            where=str(path),
            state=NOTHING_WRITTEN,
            next="run from a checkout: the templates are not part of the installed package",
        ) from None
    return template.filled(text, draft.name, draft.values)


def _checked(draft: Draft, path: Path) -> None:
    """Read the files as they will be written, before they are."""
    from nexus_reimport.settings import loading
    from nexus_reimport.settings.variables import Secrets

    values = {**draft.exported, **draft.secrets}
    loading.checked(path, _text(draft), Secrets(path.parent / f".env.{draft.name}", values, []))


def _write(draft: Draft, path: Path) -> tuple[Path, ...]:
    """Write both files, or neither; gives those that were written."""
    from nexus_reimport.files import private
    from nexus_reimport.settings import template

    try:
        secrets = template.secrets(draft.secrets)
    except ValueError as error:
        raise SettingsError(
            f"the value of {error} cannot be written into a file of secrets",
            state=NOTHING_WRITTEN,
            next=f"export {error}, then run the command again",
        ) from None
    hidden = path.with_name(f".env.{draft.name}")
    before = hidden.read_bytes() if hidden.exists() else None
    try:
        if draft.secrets:
            private.replace(hidden, secrets.encode())
        private.replace(path, _text(draft).encode())
    except BaseException:  # the first without the second would be half of it
        if before is not None:
            private.replace(hidden, before)
        else:
            hidden.unlink(missing_ok=True)
        raise
    return (path, hidden) if draft.secrets else (path,)


def _typed(text: str) -> str:
    """A line of the terminal.

    Raises:
        StopError: there are no more.
    """
    typer.echo(text, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        raise StopError("a question was not answered", state=NOTHING_WRITTEN, next="run it again")
    return line


def _tell(text: str) -> None:
    typer.echo(text, err=True)
