"""What a command says: results on stdout, as text or as one JSON object; all else on stderr."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from nexus_reimport.runner import Outcome

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Environment = Annotated[str, typer.Argument(help="A file in runbook/environments, without .toml.")]
Approve = Annotated[str, typer.Option(help="The digest that the page shows at its end.")]
ApproveRehearsed = Annotated[
    bool, typer.Option("--approve-rehearsed", help="dev and the sandbox only.")
]
RunId = Annotated[str, typer.Option("--run", help="Which run; else the environment's open one.")]


def progress(line: str) -> None:
    """Tell the person who waits."""
    typer.echo(line, err=True)


def give(value: dict[str, Any], text: str, *, as_json: bool) -> None:
    """The result of a command."""
    typer.echo(json.dumps(value, indent=1, default=str) if as_json else text)


def give_outcomes(outcomes: list[Outcome], *, as_json: bool) -> None:
    """What became of the environments; then leave with the last one's exit code."""
    last = outcomes[-1]
    text = "\n\n".join(o.summary for o in outcomes if o.summary)
    give(
        {"outcomes": [plain(o) for o in outcomes], "exit_code": last.exit_code},
        text,
        as_json=as_json,
    )
    for said in (last.error, last.advice, *(o.window for o in outcomes)):
        if said:
            typer.echo(f"\n{said}", err=True)
    raise typer.Exit(last.exit_code)


def plain(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON values."""
    from dataclasses import asdict

    return {name: value for name, value in asdict(outcome).items() if name != "summary"}
