"""The command line, as a person starts it."""

from __future__ import annotations

import pytest

from nexus_reimport.cli import main


def command(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:  # exit code, stdout, stderr
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err
