"""``nexus-reimport init``: asks what an environment needs, tries it at once, writes its two files.

Nothing is written before all is answered; what a person breaks off leaves nothing behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from nexus_reimport.cli.answers import (
    NOTHING_WRITTEN,
    Asked,
    Given,
    Question,
    Secret,
    tell,
    who_answers,
)
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
_NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)
M = TypeVar("M", bound="BaseModel")


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


_SHIPPED = "nexus"
_GENERAL = (
    Question("kind", "Is it a dev or a prod environment?", "dev", choices=("dev", "prod")),
    Question("timezone", "Time zone of the clinic", "Australia/Sydney"),
    Question("mapping", "Mapping: nexus, or a file of your own beside this one", _SHIPPED),
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
_CHANNEL = Question(
    "channel",
    "How it is read: over its Data API, over OData, or from files that somebody exports",
    "data_api",
    choices=("data_api", "odata", "exports"),
)
_FILE = Question("database", "File")
_EXPORTS = (
    Question("folder", "Folder of the exported files", "../../exports"),
    Question(
        "dates",
        "Order of day, month and year where the files have dates as text",
        "d/m/y",
        choices=("d/m/y", "m/d/y", "y/m/d"),
    ),
)
_FILEMAKER = (
    Question("url", "Address of FileMaker Server, such as https://filemaker.example"),
    _FILE,
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
    from nexus_reimport import environ
    from nexus_reimport import settings as environments

    folder = environments.folder()
    path = folder / f"{environment}.toml"
    asked = who_answers(answers)
    _require_name(environment)
    _require_folder(folder)
    if path.exists() and not (overwrite or _may_overwrite(asked, path)):
        raise StopError(
            f"{path.name} exists",
            where=str(folder),
            state="it is unchanged",
            next="choose another name, or add --overwrite",
        )
    draft = Draft(environment, {("name",): environment})
    draft.exported.update(environ.variables())
    _ask_all(asked, draft, path)
    written = _write(draft, path)
    mapping = path.with_name(str(draft.values["mapping",]))
    to_write = not _is_shipped(draft) and not mapping.exists()
    before = f"write {mapping} (docs/mapping.md), then " if to_write else ""
    give(
        {"environment": environment, "files": [str(p) for p in written]},
        "\n".join([f"written: {p}" for p in written])
        + _not_written(draft)
        + f"\nnext: {before}nexus-reimport doctor {environment},"
        f" then nexus-reimport adopt {environment}",
        as_json=as_json,
    )


def _not_written(draft: Draft) -> str:
    """The secrets that stay in variables: another terminal has them not."""
    names = re.findall(r'^[^#\n]*\{ env = "(\w+)" \}', _text(draft), re.MULTILINE)
    if not (exported := [name for name in names if name not in draft.secrets]):
        return ""
    return f"\nnot written: {', '.join(exported)}; each terminal must export them"


def _is_shipped(draft: Draft) -> bool:
    return draft.values["mapping",] == _SHIPPED


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            "the name of an environment has letters, digits, - and _ only",
            state=NOTHING_WRITTEN,
            next="choose another name, such as dev",
        )


def _require_folder(folder: Path) -> None:
    """Before the first question: afterwards all answers would be lost."""
    if not folder.is_dir():
        raise SettingsError(
            "the folder of the environments' files does not exist",
            where=str(folder),
            state=NOTHING_WRITTEN,
            next="create it, or correct NEXUS_REIMPORT_ENVIRONMENTS",
        )


def _may_overwrite(asked: Asked, path: Path) -> bool:
    if isinstance(asked, Given):
        return False
    return asked.yes(f"{path} exists. Replace it, and its .env file?", default=False)


def _ask_all(asked: Asked, draft: Draft, path: Path) -> None:
    from nexus_reimport.runbook import reachable
    from nexus_reimport.settings import S3, FileMaker, Postgres

    tell(f"{draft.name}: Enter takes what stands in brackets; Ctrl-C breaks off, nothing is left")
    kind = "prod" if "prod" in draft.name else "dev"
    _questions(asked, draft, "", [_GENERAL[0]], {"kind": kind})
    if draft.values["kind",] == "prod":
        _questions(asked, draft, "", [_DEV])
    _questions(asked, draft, "", _GENERAL[1:])
    if not _is_shipped(draft):  # what the template says of the shipped mapping's tables and files
        draft.values |= {("filemaker", "channels"): None, ("s3", "prefixes"): None}
    tell("\nNexus")
    _section(asked, draft, "postgres", _of_postgres, Postgres, reachable.postgres)
    tell("\nFileMaker")
    mapping = str(draft.values["mapping",])
    ask_filemaker = partial(reachable.filemaker, mapping=mapping)
    _section(asked, draft, "filemaker", _of_filemaker, FileMaker, ask_filemaker)
    tell("\nS3")
    _section(asked, draft, "s3", partial(_questions, section="s3", questions=_S3), S3, reachable.s3)
    tell("\nFolders; a relative one starts at the environment's file")
    while True:
        _questions(asked, draft, "folders", _FOLDERS)
        try:
            _checked(draft, path)
            asked.all_were_asked()
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
            tell(f"  ok: {attempt(_as_model(draft, section, model))}")
            return
        except ReimportError as error:
            if not asked.again(error):
                return


def _of_postgres(asked: Asked, draft: Draft) -> None:
    from nexus_reimport.settings.credentials import is_own_host

    _questions(asked, draft, "postgres", _POSTGRES)
    is_local = is_own_host(str(draft.values["postgres", "host"]))
    draft.values["postgres", "sslmode"] = "disable" if is_local else "verify-full"
    draft.values["postgres", "sslrootcert"] = None
    if not is_local:
        _questions(asked, draft, "postgres", [_AUTHORITY])


def _of_filemaker(asked: Asked, draft: Draft) -> None:
    """Where FileMaker is: a server with an account, or a folder of files, which have neither."""
    _questions(asked, draft, "filemaker", [_CHANNEL])
    of_a_server = [("filemaker", key) for key in ("url", "user", "password", "channels")]
    if draft.values["filemaker", "channel"] == "exports":
        _questions(asked, draft, "filemaker", [_FILE])
        _questions(asked, draft, "filemaker.exports", _EXPORTS)
        draft.values |= dict.fromkeys(of_a_server)
        return
    for one in _EXPORTS:  # of an answer before
        draft.values.pop(("filemaker", "exports", one.key), None)
    for place in of_a_server if _is_shipped(draft) else of_a_server[:-1]:
        draft.values.pop(place, None)
    _questions(asked, draft, "filemaker", _FILEMAKER)


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
        place = (*filter(None, section.split(".")), one.key)
        default = draft.values.get(place) or (defaults or {}).get(one.key) or one.default
        value = asked.value(section, one, default)
        draft.values[place] = None if value == "" else value


def _as_model(draft: Draft, section: str, model: type[M]) -> M:
    """The section as the settings will have it."""
    from pydantic import ValidationError

    from nexus_reimport import settings as environments
    from nexus_reimport.settings import spelling

    raw: dict[str, Any] = {
        place[1]: value
        for place, value in draft.values.items()
        if place[0] == section and len(place) == 2 and value is not None
    }
    files = {p[2]: v for p, v in draft.values.items() if p[:2] == (section, "exports")}
    if files:  # as in the file, a relative folder starts there
        place = environments.folder() / str(files["folder"])
        raw["exports"] = files | {"folder": place.resolve()}
    else:
        raw |= _secrets_of(draft, section)
    if section == "filemaker" and _is_shipped(draft) and not files:
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
    except FileNotFoundError:
        raise SettingsError(
            "the template of an environment is not here",
            where=str(path),
            state=NOTHING_WRITTEN,
            next="run from a checkout: the templates are not part of the installed package",
        ) from None
    return template.headed(template.filled(text, draft.name, draft.values), draft.name)


def _checked(draft: Draft, path: Path) -> None:
    """Read the files as they will be written, before they are."""
    from nexus_reimport.settings import loading
    from nexus_reimport.settings.variables import Secrets

    values = {**draft.exported, **draft.secrets}
    loading.checked(path, _text(draft), Secrets(path.parent / f".env.{draft.name}", values, []))


def _write(draft: Draft, path: Path) -> tuple[Path, ...]:
    """Write both files, or neither; gives those that were written.

    A kill between them is told by whoever loads the environment.
    """
    from nexus_reimport.files import private
    from nexus_reimport.settings import loading, template

    try:
        secrets = template.secrets(draft.secrets)
    except ValueError as error:
        raise SettingsError(
            f"the value of {error} cannot be written into a file of secrets",
            state=NOTHING_WRITTEN,
            next=f"export {error}, then run the command again",
        ) from None
    hidden = path.with_name(f".env.{draft.name}")
    texts = {path: _text(draft).encode()}
    if draft.secrets:
        texts[hidden] = secrets.encode()
    before = {file: file.read_bytes() if file.exists() else None for file in texts}
    mark = loading.being_replaced(path)
    try:
        if len(texts) > 1 and path.exists():
            private.replace(mark, b"")
        for file, text in reversed(texts.items()):
            private.replace(file, text)
    except BaseException:  # one without the other would be half of it
        for file, former in before.items():
            if former is None:
                file.unlink(missing_ok=True)
            else:
                private.replace(file, former)
        private.remove(mark)
        raise
    private.remove(mark)
    # A draft that a kill has left holds secrets, and nobody looks for it.
    for file in (*texts, mark):
        for draft_file in path.parent.glob(f"{file.name}.*.new"):
            draft_file.unlink(missing_ok=True)
    return tuple(texts)
