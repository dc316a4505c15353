"""``nexus-reimport sign``: the sign-off before production, line by line, with name and words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nexus_reimport.cli.output import AsJson, Environment, give
from nexus_reimport.errors import SettingsError

Line = Annotated[str, typer.Argument(help="The line to sign: S1 to S7; without it, all are shown.")]
Who = Annotated[str, typer.Option(help="Your name, for the record.")]
Text = Annotated[str, typer.Option(help="What you vouch for, in your words, for the record.")]
Withdraw = Annotated[bool, typer.Option("--withdraw", help="Take the signature back.")]


def sign(
    environment: Environment,
    line: Line = "",
    who: Who = "",
    text: Text = "",
    withdraw: Withdraw = False,
    as_json: AsJson = False,
) -> None:
    """Sign a line of the sign-off before production; without a line, show the sheet.

    A signature stands until a run that relied on it is committed, or until it is withdrawn.
    """
    from nexus_reimport import runner, show

    if not line and (who or text or withdraw):
        raise SettingsError(
            "no line was named, so nothing was signed",
            next=f"nexus-reimport sign {environment} shows the lines; name one, such as S5",
        )
    if not line:
        sheet = runner.sheet(environment)
    elif withdraw:
        sheet = runner.withdraw(environment, line, who, text)
    else:
        sheet = runner.sign(environment, line, who, text)
    value = {**asdict(sheet), "open": [one.id for one in sheet.open]}
    give(value, show.sheet_text(sheet, environment, runner.spent_by(environment)), as_json=as_json)
    raise typer.Exit(1 if sheet.asked and sheet.open and not line else 0)
