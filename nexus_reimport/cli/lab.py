"""``nexus-reimport lab``: JupyterLab on copies of the pages."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_reimport.cli.output import Environment, progress

Browser = Annotated[bool, typer.Option(help="Open it in a browser.")]
Port = Annotated[int, typer.Option(min=0, help="Where to listen; 0 takes a free port.")]


def lab(environment: Environment, browser: Browser = True, port: Port = 0) -> None:
    """Open fresh copies of the pages in JupyterLab; they go into the record at the seal."""
    from nexus_reimport.runner import lab as copies

    opened = copies.prepare(environment, browser=browser, port=port)
    progress(
        f"{environment}: copies of the pages in {opened.folder}; save them, and at the end:"
        f" nexus-reimport seal {environment}"
    )
    raise typer.Exit(opened.start())
