"""The commands; each ends with an exit code and, after an error, four lines on stderr.

A command imports what it runs when it is called: the whole package, with its libraries, costs a
second of processor, and ``--help`` needs none of it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nexus_reimport import __version__
from nexus_reimport.cli import (
    deployment,
    endings,
    exit_codes,
    lab,
    page,
    records,
    recovery,
    sandbox,
)
from nexus_reimport.cli.doctor import doctor
from nexus_reimport.cli.init import init
from nexus_reimport.cli.output import (
    VOLUME,
    Approve,
    ApproveRehearsed,
    AsJson,
    Environment,
    Reason,
    RunId,
    Who,
    give,
    give_error,
    give_outcomes,
    open_streams,
    progress,
    typed,
    write,
)
from nexus_reimport.cli.sign import sign
from nexus_reimport.cli.status import status
from nexus_reimport.errors import ReimportError, SettingsError, unforeseen
from nexus_reimport.interrupt import Interrupted, leave_no_core, listening

if TYPE_CHECKING:
    from nexus_reimport.model import Proposal
    from nexus_reimport.record import Run

PROGRAM = "nexus-reimport"
# As a person meets them: to try it, to set it up, to run it, to undo it, to look back.
ORDER = (
    "demo",
    "sandbox",
    "init",
    "adopt",
    "doctor",
    "status",
    "run",
    "sign",
    "lab",
    "page",
    "relink",
    "finish",
    "settle",
    "seal",
    "rollback",
    "restore",
    "purge-undo",
    "purge-private",
    "verify",
    "record",
)


class InOrder(TyperGroup):
    """The commands in the order of the work; one that the order does not know comes last."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        place = {name: number for number, name in enumerate(ORDER)}
        return sorted(super().list_commands(ctx), key=lambda name: place.get(name, len(place)))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The commands, and under them what their exit codes mean."""
        super().format_help(ctx, formatter)
        write(exit_codes.table())


app = typer.Typer(
    help="Wipes Nexus's patient data and reimports it from FileMaker.",
    cls=InOrder,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,  # its tracebacks show local variables: patients' values
)
app.add_typer(records.app, name="record")
app.add_typer(sandbox.app, name="sandbox")
app.command("rollback")(recovery.rollback)
app.command("restore")(recovery.restore)
app.command("purge-undo")(recovery.purge_undo)
app.command("purge-private")(recovery.purge_private)
app.command("adopt")(deployment.adopt)
app.command("page")(page.page)
app.command("lab")(lab.lab)
app.command("sign")(sign)
app.command("doctor")(doctor)
app.command("status")(status)
app.command("init")(init)


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


@app.command("run")
def run_sequence(
    environments: Annotated[
        list[str], typer.Argument(help="One or more environments, in this order: dev prod.")
    ],
    approve: Approve = "",
    approve_rehearsed: ApproveRehearsed = False,
    who: Who = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Run preflight, execute and verify; stop at the first environment that does not succeed.

    Without an approval the run stops after the preflight (exit code 6). --approve continues it.
    """
    _run(environments, approve, who, reason, rehearsed=approve_rehearsed, as_json=as_json)


@app.command()
def relink(
    environment: Environment,
    approve: Approve = "",
    approve_rehearsed: ApproveRehearsed = False,
    who: Who = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Fix the links of documents and images, and change nothing else; same pages, same record."""
    given, rehearsed = (approve, who, reason), approve_rehearsed
    _run([environment], *given, rehearsed=rehearsed, links_only=True, as_json=as_json)


def _run(
    environments: list[str],
    approve: str,
    who: str,
    reason: str,
    *,
    rehearsed: bool,
    links_only: bool = False,
    as_json: bool,
) -> None:
    """The whole sequence."""
    from nexus_reimport import forked

    forked.ready()  # it loads beside us
    from nexus_reimport import runner

    outcomes = runner.run(
        environments,
        approve=approve,
        approve_rehearsed=rehearsed,
        name=who,
        reason=reason,
        links_only=links_only,
        ask=_ask if sys.stdin.isatty() and not as_json else None,
        progress=progress,
    )
    give_outcomes(outcomes, as_json=as_json)


@app.command()
def finish(environment: Environment, run: RunId = "", as_json: AsJson = False) -> None:
    """Settle, verify and seal a run that is in doubt, or committed but unverified."""
    from nexus_reimport import forked

    forked.ready()  # it loads beside us
    from nexus_reimport import runner

    give_outcomes([runner.finish(environment, run, progress)], as_json=as_json)


@app.command()
def verify(
    environment: Environment,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Test the verification itself, on a copy.")
    ] = False,
    run: Annotated[
        str, typer.Option("--run", help="Id of the run; without it, the latest whose dump is kept.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Put every kind of corruption into a copy, one at a time: what verification finds of them.

    Leaves with exit code 1 where it misses one. The database itself is only read.
    """
    if not self_test:
        raise SettingsError(
            "verify alone does nothing: add --self-test",
            next=f"nexus-reimport verify --self-test {environment}; a committed run is verified by"
            f" nexus-reimport finish {environment}",
        )
    from nexus_reimport import runner, show

    result = runner.self_test(environment, run, progress)
    value = {**asdict(result), "complete": result.is_complete}
    give(value, repr(show.self_test(result)), as_json=as_json)
    raise typer.Exit(0 if result.is_complete else 1)


@app.command()
def settle(environment: Environment, run: RunId = "", as_json: AsJson = False) -> None:
    """Ask the database whether a run in doubt was committed."""
    from nexus_reimport import runner

    give_outcomes([runner.settle(environment, run, progress)], as_json=as_json)


@app.command()
def seal(
    environment: Environment,
    run: RunId = "",
    as_saved: Annotated[
        bool, typer.Option("--as-saved", help="Take pages as saved, where the last is missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Close the record of an open run as it is."""
    from nexus_reimport import runner

    give_outcomes([runner.seal(environment, run, as_saved=as_saved)], as_json=as_json)


@app.command()
def demo(
    folder: sandbox.Folder = sandbox.HERE, scale: sandbox.Scale = None, as_json: AsJson = False
) -> None:
    """Run the whole sequence on a made-up clinic: dev, then prod.

    With --folder it has environments, records and private files of its own in that folder.
    """
    from nexus_reimport import settings
    from nexus_reimport.cli import demo as demonstration

    size = sandbox.chosen_scale(folder, scale)
    apart = folder != sandbox.HERE and settings.FOLDER_VARIABLE not in os.environ
    give_outcomes(demonstration.run(folder, size, progress, apart=apart), as_json=as_json)


def _ask(run: Run, proposal: Proposal) -> str:
    """The digest that a person types after reading the preflight."""
    from nexus_reimport import show
    from nexus_reimport.model.approval import DIGEST_SHOWN
    from nexus_reimport.runner import notebook

    write(f"{show.summary(run)}\n\nRead {notebook.latest(run, notebook.PREFLIGHT)}", err=True)
    text = (
        f"To execute on {proposal.environment}, type the digest ({DIGEST_SHOWN} characters or more)"
    )
    return typed(text)


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
            sys.exit(_fail(given, 2, _usage(error)))
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


def _usage(error: Any) -> SettingsError:
    command = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
    message = error.format_message()
    if near := getattr(error, "possibilities", None):
        from nexus_reimport import wording

        message = f"there is no option {error.option_name}{wording.did_you_mean(near[0])}"
    return _misused(command, message)


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
