"""The commands; each ends with an exit code and, after an error, four lines on stderr.

A command imports what it runs when it is called: the whole package, with its libraries, costs a
second of processor, and ``--help`` needs none of it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nexus_reimport import __version__
from nexus_reimport.cli import (
    browser,
    endings,
    environment,
    records,
    recovery,
    running,
    sandbox,
)
from nexus_reimport.cli.init import init
from nexus_reimport.cli.output import VOLUME, give_error, open_streams, write
from nexus_reimport.errors import ReimportError, SettingsError, unforeseen
from nexus_reimport.interrupt import Interrupted, leave_no_core, listening

PROGRAM = "nexus-reimport"
# As a person meets them: to try it, to set it up, to run it, to undo it, to look back.
COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    "demo": sandbox.demo,
    "sandbox": sandbox.app,
    "init": init,
    "adopt": environment.adopt,
    "doctor": environment.doctor,
    "status": environment.status,
    "run": running.run,
    "sign": environment.sign,
    "lab": browser.lab,
    "page": browser.page,
    "relink": running.relink,
    "finish": running.finish,
    "settle": running.settle,
    "seal": running.seal,
    "rollback": recovery.rollback,
    "restore": recovery.restore,
    "purge-undo": recovery.purge_undo,
    "purge-private": recovery.purge_private,
    "verify": running.verify,
    "record": records.app,
}


class InOrder(TyperGroup):
    """The commands in the order of the work."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The commands, and under them what their exit codes mean."""
        super().format_help(ctx, formatter)
        write(endings.table())


app = typer.Typer(
    help="Wipes Nexus's patient data and reimports it from FileMaker.",
    cls=InOrder,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,  # its tracebacks show local variables: patients' values
)
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def _show_version(requested: bool) -> None:
    if requested:
        write(f"nexus-reimport {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress: the result and errors only.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Progress with the time of day; errors with the way to them."
        ),
    ] = False,
) -> None:
    """Wipes Nexus's patient data and reimports it from FileMaker."""
    if quiet and verbose:
        raise SettingsError("--quiet and --verbose contradict each other", next="choose one")
    VOLUME.quiet, VOLUME.verbose = quiet, verbose


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    given = _in_order(sys.argv[1:] if arguments is None else arguments)
    VOLUME.quiet = VOLUME.verbose = VOLUME.result_begun = False
    open_streams()
    leave_no_core()
    if given == ["--json"]:  # help for people is no JSON
        sys.exit(_fail(given, 2, _misused(PROGRAM)))
    try:
        with listening():
            code = app(given, prog_name=PROGRAM, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except Interrupted as interrupt:
        if sys.stderr.isatty():
            write("", err=True)  # a question, or what a terminal makes of Ctrl-C, ends no line
        sys.exit(_fail(given, 3, _ended(interrupt, given)))
    except ReimportError as error:
        sys.exit(_fail(given, error.exit_code, error, _notes(error)))
    except typer.Abort:
        sys.exit(_fail(given, 1, _unanswered()))
    except Exception as error:
        if hasattr(error, "format_message"):  # a mistake in the command line
            sys.exit(_fail(given, 2, _usage(error, given)))
        known = unforeseen(error, endings.of(given)[0])
        sys.exit(_fail(given, known.exit_code, known, [*_way_to(error), *_notes(error)]))


def _in_order(given: Sequence[str]) -> list[str]:
    """The command line with the options of every command where they are looked for.

    A person may write ``--quiet``, ``--verbose`` and ``--json`` before a command or after it.
    """
    everywhere = {"--quiet", "-q", "--verbose", "-v"}
    first = [word for word in given if word in everywhere]
    others = [word for word in given if word not in everywhere and word != "--json"]
    return [*first, *others, *(["--json"] if "--json" in given else [])]


def _usage(error: Any, given: Sequence[str]) -> SettingsError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else _named(given)
    message = error.format_message()
    if near := getattr(error, "possibilities", None):
        from nexus_reimport import wording

        message = f"there is no option {error.option_name}{wording.did_you_mean(near[0])}"
    return _misused(command, message)


def _named(given: Sequence[str]) -> str:
    """The command that these words name: of an option without its value the parser does not say."""
    group: Any = typer.main.get_command(app)
    named = [PROGRAM]
    for word in (word for word in given if not word.startswith("-")):
        if (group := getattr(group, "commands", {}).get(word)) is None:
            break
        named.append(word)
    return " ".join(named)


def _misused(command: str, what: str = "") -> SettingsError:
    return SettingsError(
        what or "a command is missing",
        state="nothing was started",
        next=f"{command} --help shows how it is used",
    )


def _unanswered() -> ReimportError:
    return ReimportError(
        "a question was not answered",
        state="nothing was approved by it",
        next="run the command again, and answer; or give the answer as an option (--help)",
    )


def _notes(error: Exception) -> list[str]:
    """The note that the maintenance window is still up; other notes may hold a patient's value."""
    notes: list[str] = getattr(error, "__notes__", [])
    if not notes:
        return []
    from nexus_reimport.runbook.maintenance import HEADLINE

    return [note for note in notes if note.startswith(HEADLINE)]


def _ended(interrupt: Interrupted, given: Sequence[str]) -> ReimportError:
    state, todo = endings.of(given)
    return ReimportError(str(interrupt), state=state, next=todo)


def _way_to(error: Exception) -> list[str]:
    """With ``--verbose``, each line of code on the way to an error; values are never shown."""
    if not VOLUME.verbose:
        return []
    frames = traceback.extract_tb(error.__traceback__)
    return ["\n".join(f"  {f.filename}:{f.lineno} {f.name}" for f in frames)]


def _fail(
    given: Sequence[str], exit_code: int, error: ReimportError, notes: Sequence[str] = ()
) -> int:
    text = "\n\n".join([str(error), *notes])
    write(text, err=True)
    if "--json" in given:  # who reads JSON reads stdout only
        give_error(exit_code, error, text)
    return exit_code
