"""The mark of what our display functions have made: who has it, made it, for this run, unchanged.

A mark is a keyed hash of an output and of the run that was open when it was displayed. The key lies
in the environment's private folder, so that no mark is good in another environment, nor for another
run. A page's outputs without a mark never come into a record.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nexus_reimport.errors import is_of_system
from nexus_reimport.files import private

KEY = ".display_key"  # in the environment's private folder
PAGE_VARIABLE = "NEXUS_REIMPORT_PAGE_OF"  # the private folder of the run whose page is executed
LAB_VARIABLE = "NEXUS_REIMPORT_LAB"  # the folder of the pages that are stepped through by hand
DISPLAYED = ".displayed.jsonl"  # in that folder: what its kernels have displayed
NAME = "nexus_reimport"  # our part of an output's metadata
_Facts = Mapping[str, Any]


class _Opened:
    """The run that this process has opened last; what it displays is of that run."""

    folder: Path | None = None


def opened(folder: Path) -> None:
    """What this process displays from now on is of the run whose private folder is ``folder``."""
    _Opened.folder = folder


def is_page_of(folder: Path) -> bool:
    """Whether this process executes a page of the run whose private folder is ``folder``."""
    return os.environ.get(PAGE_VARIABLE) == str(folder)


def metadata(data: Mapping[str, str], facts: _Facts | None = None) -> dict[str, Any]:
    """The metadata for an output of ours; empty where no run is open, or its key cannot be read.

    ``facts`` is what it says to a program, such as the lines of an error; it is under the mark too.
    """
    named = os.environ.get(PAGE_VARIABLE)
    folder = _Opened.folder or (Path(named) if named else None)
    if folder is None:
        return {}
    with suppress(OSError):  # a full disk must not become the cell's error
        mark = marked(folder, data, facts)
        _note_displayed(mark[NAME])
        return mark
    return {}


def page_in_session() -> str:
    """The page whose kernel this is in JupyterLab, such as ``02_execute``; "" elsewhere."""
    return Path(os.environ.get("JPY_SESSION_NAME", "")).stem


def _note_displayed(mark: _Facts) -> None:
    """In a lab: write down what was displayed, to ask for it where it is not saved."""
    if lab := os.environ.get(LAB_VARIABLE):
        line = {"page": page_in_session(), "run": mark["run"], "mark": mark["mark"]}
        with private.append(Path(lab) / DISPLAYED) as file:
            file.write(json.dumps(line).encode() + b"\n")


def displayed(lab: Path) -> Iterator[dict[str, str]]:
    """What the kernels of a lab have displayed, in its order: page, run and mark."""
    path = lab / DISPLAYED
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError):  # cut by a kill
            yield json.loads(line)


def marked(folder: Path, data: Mapping[str, str], facts: _Facts | None = None) -> dict[str, Any]:
    """As ``metadata``, for the run whose private folder is ``folder``.

    Raises:
        OSError: the key can be neither read nor made.
    """
    extra = {"facts": dict(facts)} if facts else {}
    return {NAME: {"run": folder.name, **extra, "mark": _mark(folder, data, facts)}}


def is_ours(folder: Path, output: Mapping[str, Any]) -> bool:
    """Whether a display function of ours has made this output of a notebook, for that very run."""
    known = output.get("metadata", {}).get(NAME)
    if not isinstance(known, Mapping) or known.get("run") != folder.name:
        return False
    try:
        right = _mark(folder, output.get("data", {}), known.get("facts"))
    except (OSError, TypeError, ValueError) as error:
        if is_of_system(error):  # our own output would be taken for somebody's, and left out
            raise
        return False
    return hmac.compare_digest(right, str(known.get("mark")))


def facts(output: Mapping[str, Any]) -> dict[str, Any]:
    """What an output of ours says to a program."""
    return dict(output["metadata"][NAME].get("facts", {}))


def _mark(folder: Path, data: Mapping[str, Any], facts: _Facts | None) -> str:
    whole = json.dumps([folder.name, dict(data), dict(facts or {})], sort_keys=True)
    return hmac.new(_key(folder.parent / KEY), whole.encode(), hashlib.sha256).hexdigest()


def _key(path: Path) -> bytes:
    """The environment's key, made where there is none."""
    if not path.is_file():
        with suppress(FileExistsError):  # another process was quicker
            private.make_folder(path.parent)
            private.place_new(path, secrets.token_bytes(32))
    return path.read_bytes()
