"""The made-up clinic read by one channel or another."""

from __future__ import annotations

from support.clinic import Clinic

DEV = "sandbox-dev"


def read_by(clinic: Clinic, lines: str, more: str = "", name: str = DEV) -> None:
    """Let the environment read FileMaker as ``lines`` of [filemaker] say."""
    path = clinic.folder / f"{name}.toml"
    text = path.read_text()
    start = text.index("\n", text.index("password", text.index("[filemaker]"))) + 1
    end = text.index("[s3]")
    path.write_text(f"{text[:start]}{lines}\n{more}\n{text[end:]}")


EXPORTS = '[filemaker.exports]\nfolder = "../exports"\ndates = "d/m/y"'
