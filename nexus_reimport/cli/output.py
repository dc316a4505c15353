"""The output of a command: results on stdout, as text or one JSON object; all else on stderr.

What cannot be written never changes what is said of a database: a command whose progress or message
has no room goes on, and one whose result has none says that its result could not be written.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import stat
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from nexus_reimport.cli import fitting
from nexus_reimport.errors import LINES, ReimportError
from nexus_reimport.interrupt import Interrupted

if TYPE_CHECKING:
    from nexus_reimport.errors import SettingsError
    from nexus_reimport.runner import CommandOutcome

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Environment = Annotated[
    str, typer.Argument(help="Name of a file in runbook/environments, without .toml.")
]
OneOrAll = Annotated[str, typer.Argument(help="An environment; without it, all of them.")]


def _not_empty(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """The value; one that is empty because a script's variable is must not count as not given."""
    source = context.get_parameter_source(option.name or "")
    if not value.strip() and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("it is empty")
    return value


Approve = Annotated[
    str, typer.Option(help="The digest shown at the end of the page.", callback=_not_empty)
]
ApproveRehearsed = Annotated[
    bool,
    typer.Option(
        "--approve-rehearsed",
        help="Execute what was rehearsed without asking; only dev and the sandbox.",
    ),
]
RunId = Annotated[
    str, typer.Option("--run", help="Id of the run; without it, the environment's open run.")
]
Who = Annotated[str, typer.Option(help="Who begins the run, or approves it; for the record.")]
Reason = Annotated[str, typer.Option(help="Why, for the record; never a patient's name.")]


@dataclass(slots=True)
class Volume:
    """How much a command tells besides its result and its errors."""

    quiet: bool = False
    verbose: bool = False
    result_begun: bool = False  # its result is on stdout, or as much of it as had room


VOLUME = Volume()  # of this process, as its command line says


# What writing gives where a terminal was closed, or the program at a pipe's other end has ended.
# To a file on a disk that fails it gives the first, too.
_NOBODY_READS = frozenset({errno.EIO, errno.EPIPE})
_NOWHERE = Path(os.devnull)


def open_streams() -> None:
    """Make the three standard streams such that each text can be written.

    One that was closed (``2>&-``) leads nowhere from now on: else the first file that we open would
    get its number, and whatever a child says into it. What an encoding lacks is written as its code
    point, as Python does on stderr.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, _NOWHERE.open(mode, encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        with suppress(OSError):  # some files refuse to say where they are: then it stays as it is
            sys.stdout.reconfigure(errors="backslashreplace")


def write(text: str, *, err: bool = False, nl: bool = True, as_is: bool = False) -> None:
    """Write for whoever reads; that nobody reads any more must not become the command's error.

    On a terminal a long line is folded, unless it stays ``as_is``, for a program. A run whose
    terminal was closed still takes its window down and seals its record, and leaves with the code
    that says what the database holds. So does one whose progress finds a full disk.

    Raises:
        OSError: stdout takes nothing, such as a file on a full disk.
    """
    stream = sys.stderr if err else sys.stdout
    if nl and not as_is and stream.isatty():
        text = fitting.fitted(text, shutil.get_terminal_size().columns)
    try:
        typer.echo(text, err=err, nl=nl)
    except OSError as error:
        is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        nobody_reads = error.errno in _NOBODY_READS and not is_file
        _drop(stream, for_good=nobody_reads)
        if not (err or nobody_reads):
            raise


def _drop(stream: TextIO, *, for_good: bool) -> None:
    """Drop what a stream has not written, which would fail once more at the end.

    ``for_good``: and all that comes after it.
    """
    number = stream.fileno()
    before = os.dup(number)
    with _NOWHERE.open("wb") as nothing:
        os.dup2(nothing.fileno(), number)
    stream.flush()
    if not for_good:  # a disk may have room again
        os.dup2(before, number)
    os.close(before)


def typed(question: str) -> str:
    """What a person types; "" where they type nothing, or end the input (Ctrl-D)."""
    try:
        return str(typer.prompt(question, default="", show_default=False, err=True))
    except typer.Abort:
        write("", err=True)
        return ""


class Progress:
    """Lines of progress on stderr, so that stdout holds the result only; below them, a bar."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, line: str) -> None:
        """Print a line."""
        if VOLUME.quiet:
            return
        self.now("")
        clock = f"{datetime.now().astimezone():%H:%M:%S %Z} " if VOLUME.verbose else ""
        write(f"{clock}{line}", err=True)

    def now(self, text: str) -> bool:
        """Show ``text`` in the last line, in place of what stood there; whether a person sees it.

        In a file or a pipe, and on a terminal that cannot go back in its line, nothing is shown.
        """
        if VOLUME.quiet or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            return False
        if text != self._shown:
            columns = shutil.get_terminal_size().columns
            write(f"\r\x1b[K{text[: columns - 1]}", err=True, nl=False)
        self._shown = text
        return True


progress = Progress()


def say_left_out(name: str, error: SettingsError) -> None:
    """Name on stderr an environment that cannot be loaded."""
    first = error.what.splitlines()[0]
    write(f"{name} is left out: {first}; nexus-reimport doctor {name} tells it", err=True)


def give(value: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result of a command; nothing where there is none.

    Raises:
        ReimportError: it could not be written. What the command has done stands.
    """
    if shown := json.dumps(value, indent=1, default=str) if as_json else text:
        VOLUME.result_begun = True
        try:
            write(shown, as_is=as_json)
        except (OSError, Interrupted) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ReimportError(
                f"the result could not be written: {why}",
                where="standard output",
                state="the command has come to its end, and what it did stands",
                next="free some space (df -h), or write it elsewhere; nexus-reimport status and"
                " nexus-reimport record show tell what there is",
            ) from None


def give_error(exit_code: int, error: ReimportError, text: str) -> None:
    """Print an error as JSON, unless the one object of this command was its result."""
    if VOLUME.result_begun:
        return
    lines = {name: getattr(error, name) for name in ("what", *LINES)}
    with suppress(OSError):  # stderr has it, and the exit code
        write(json.dumps({"error": text, **lines, "exit_code": exit_code}), as_is=True)


def give_outcomes(
    outcomes: list[CommandOutcome], *, as_json: bool, read: Collection[str] = ()
) -> None:
    """Print the result for each environment; leave with the exit code of the last one.

    A summary that a person has ``read`` on this terminal is not printed again.
    """
    last = outcomes[-1]
    text = "\n\n".join(o.summary for o in outcomes if o.summary and o.summary not in read)
    code, unwritten = last.exit_code, ""
    try:
        give({"outcomes": [plain(o) for o in outcomes], "exit_code": code}, text, as_json=as_json)
    except ReimportError as error:
        code, unwritten = code or error.exit_code, str(error)
    besides = (m for o in outcomes for m in (o.window, o.untold))
    for message in (unwritten, last.error, last.advice, *besides):
        if message:
            write(f"\n{message}", err=True)
    raise typer.Exit(code)


def plain(outcome: CommandOutcome) -> dict[str, Any]:
    """An outcome as JSON values, without the summary, which is text for people."""
    return {name: value for name, value in asdict(outcome).items() if name != "summary"}
