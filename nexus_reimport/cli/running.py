"""``nexus-reimport run``, ``relink``, ``finish``, ``settle``, ``seal``, ``verify``: a run's way."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_reimport.cli.output import (
    Approve,
    ApproveRehearsed,
    AsJson,
    Environment,
    Reason,
    RunId,
    Who,
    give,
    give_outcomes,
    progress,
    typed,
    write,
)
from nexus_reimport.errors import SettingsError

if TYPE_CHECKING:
    from nexus_reimport.model import Proposal
    from nexus_reimport.record import Run


def run(
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
    from nexus_reimport import runner, show

    read = list[str]()

    def ask(run: Run, proposal: Proposal) -> str:
        read.append(show.summary(run))
        return _ask(run, proposal, read[-1])

    outcomes = runner.run(
        environments,
        approve=approve,
        approve_rehearsed=rehearsed,
        name=who,
        reason=reason,
        links_only=links_only,
        ask=ask if sys.stdin.isatty() and not as_json else None,
        progress=progress,
    )
    give_outcomes(outcomes, as_json=as_json, read=read if sys.stdout.isatty() else ())


def finish(environment: Environment, run: RunId = "", as_json: AsJson = False) -> None:
    """Settle, verify and seal a run that is in doubt, or committed but unverified."""
    from nexus_reimport import forked

    forked.ready()  # it loads beside us
    from nexus_reimport import runner

    give_outcomes([runner.finish(environment, run, progress)], as_json=as_json)


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


def settle(environment: Environment, run: RunId = "", as_json: AsJson = False) -> None:
    """Ask the database whether a run in doubt was committed."""
    from nexus_reimport import runner

    give_outcomes([runner.settle(environment, run, progress)], as_json=as_json)


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


def _ask(run: Run, proposal: Proposal, summary: str) -> str:
    """The digest that a person types after reading the preflight."""
    from nexus_reimport.model.approval import DIGEST_SHOWN
    from nexus_reimport.runner import notebook

    write(f"{summary}\n\nRead {notebook.latest(run, notebook.PREFLIGHT)}", err=True)
    text = (
        f"To execute on {proposal.environment}, type the digest ({DIGEST_SHOWN} characters or more)"
    )
    return typed(text)
