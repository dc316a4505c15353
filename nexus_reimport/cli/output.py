"""The output of a command: results on stdout, as text or one JSON object; all else on stderr."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nexus_reimport.errors import SettingsError
    from nexus_reimport.runner import Outcome

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Environment = Annotated[
    str, typer.Argument(help="Name of a file in runbook/environments, without .toml.")
]
Approve = Annotated[str, typer.Option(help="The digest shown at the end of the page.")]
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
Who = Annotated[str, typer.Option(help="Who approves, for the record.")]
Reason = Annotated[str, typer.Option(help="Why, for the record; never a patient's name.")]


@dataclass(slots=True)
class Volume:
    """How much a command tells besides its result and its errors."""

    quiet: bool = False
    verbose: bool = False


VOLUME = Volume()  # of this process, as its command line says


# What writing gives where a terminal was closed, or the program at a pipe's other end has ended.
_NOBODY_READS = frozenset({errno.EIO, errno.EPIPE})


def write(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write for whoever reads; that nobody reads any more must not become the command's error.

    A run whose terminal was closed still takes its window down and seals its record, and leaves
    with the code that says what the database holds.
    """
    try:
        typer.echo(text, err=err, nl=nl)
    except OSError as error:
        if error.errno not in _NOBODY_READS:
            raise
        # From now on into nothing: what is left in the buffer would fail once more at the end.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, (sys.stderr if err else sys.stdout).fileno())
        os.close(nothing)


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
    write(f"{name} is left out: {error.what.splitlines()[0]}", err=True)


def give(value: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result of a command; nothing where there is none."""
    if shown := json.dumps(value, indent=1, default=str) if as_json else text:
        write(shown)


def give_outcomes(outcomes: list[Outcome], *, as_json: bool) -> None:
    """Print the result for each environment; leave with the exit code of the last one."""
    last = outcomes[-1]
    text = "\n\n".join(o.summary for o in outcomes if o.summary)
    give(
        {"outcomes": [plain(o) for o in outcomes], "exit_code": last.exit_code},
        text,
        as_json=as_json,
    )
    for message in (last.error, last.advice, *(m for o in outcomes for m in (o.window, o.untold))):
        if message:
            write(f"\n{message}", err=True)
    raise typer.Exit(last.exit_code)


def plain(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON values, without the summary, which is text for people."""
    return {name: value for name, value in asdict(outcome).items() if name != "summary"}
