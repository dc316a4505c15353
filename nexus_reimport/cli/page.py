"""``nexus-reimport page``: the page ``/settings/data-management`` of one environment."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_reimport.cli.output import Environment, progress

PORT = 8890


def page(
    environment: Environment,
    port: Annotated[int, typer.Option(help="On loopback.", min=1, max=65535)] = PORT,
    behind: Annotated[
        str, typer.Option(help="The host name whose proxy passes requests on to it.")
    ] = "",
) -> None:
    """Serve the page where a clinic sees its data, starts a run and takes one back."""
    from nexus_reimport.page import application  # heavy, and no other command's

    application.serve(environment, port, behind, progress)
