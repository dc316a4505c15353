"""``nexus-reimport lab``, ``page``: what is served to a browser of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_reimport.cli.output import Environment, progress

Browser = Annotated[bool, typer.Option(help="Open it in a browser.")]
LabPort = Annotated[int, typer.Option(min=0, help="Where to listen; 0 takes a free port.")]
PAGE_PORT = 8890


def lab(environment: Environment, browser: Browser = True, port: LabPort = 0) -> None:
    """Open fresh copies of the pages in JupyterLab; they go into the record at the seal."""
    from nexus_reimport.runner import lab as copies

    opened = copies.prepare(environment, browser=browser, port=port)
    progress(
        f"{environment}: copies of the pages in {opened.folder}; save them, and at the end:"
        f" nexus-reimport seal {environment}"
    )
    raise typer.Exit(opened.start())


def page(
    environment: Environment,
    port: Annotated[int, typer.Option(help="On loopback.", min=1, max=65535)] = PAGE_PORT,
    behind: Annotated[
        str,
        typer.Option(
            help="The host name whose proxy passes requests on to it; with a path, if there is one"
            " before the page's."
        ),
    ] = "",
) -> None:
    """Serve the page where a clinic sees its data, starts a run and takes one back."""
    from nexus_reimport.page import application  # heavy, and no other command's

    application.serve(environment, port, behind, progress)
