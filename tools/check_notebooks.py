"""Check that the outputs in the runbook's notebooks come from the sandbox and name no machine.

python tools/check_notebooks.py [NOTEBOOK …]

Prints one line per problem and exits with 1 if there is one. Without arguments it checks every
notebook of ``runbook/``. A notebook that was run by hand against a real environment must never be
committed: this is the last look before that.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nexus_reimport.record.verdict import Verdict

RUNBOOK = Path(__file__).resolve().parent.parent / "runbook"
PLAIN = {"execute_result", "display_data"}  # a stream or an error is somebody's bad night
NOTEBOOK_METADATA = {"kernelspec", "language_info"}
LANGUAGE = {"name": "python"}  # a version would be that of one machine
CELL_METADATA = {"tags", "serves"}  # papermill and JupyterLab add times and machines
_PICTURE = re.compile(r"data:[\w/+;.-]+;base64,[A-Za-z0-9+/=]+")
_PATH = re.compile(r"(?<![\w/.:<>])/[A-Za-z][\w.-]*(?:/[\w.-]+)+|\b[A-Za-z]:\\\w")
_RUN = re.compile(r"([\w-]+): run \d{8}T\d{6}Z")
_ADDRESS = re.compile(r"\bhttps?://([\w.-]+)|\bpostgres ([\w.-]+):\d+/")
LOOPBACK = {"127.0.0.1", "localhost"}
VOCABULARIES = {"www.w3.org", "creativecommons.org", "purl.org"}  # names that an SVG picture holds


def problems(notebook: dict[str, Any]) -> Iterator[str]:
    """What in ``notebook`` does not come from a run of the sandbox by `make notebooks`."""
    metadata = notebook["metadata"]
    kernel = metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"its kernel is {kernel}, not python3"
    if metadata.get("language_info", LANGUAGE) != LANGUAGE:
        yield "language_info names a version of Python: one machine's own"
    yield from (f"foreign metadata: {key}" for key in sorted(metadata.keys() - NOTEBOOK_METADATA))
    for number, cell in enumerate(notebook["cells"], 1):
        yield from (f"cell {number}: {problem}" for problem in _of_cell(cell))


def _of_cell(cell: dict[str, Any]) -> Iterator[str]:
    for key in sorted(cell["metadata"].keys() - CELL_METADATA):
        yield f"foreign metadata: {key}"
    for output in cell.get("outputs", ()):
        kind = output["output_type"]
        if kind not in PLAIN:
            yield f"an output of kind {output.get('name', kind)}"
        if output.get("metadata"):
            yield f"an output with metadata: {', '.join(sorted(output['metadata']))}"
        for text in _texts(output):
            yield from _of_text(text)


def _texts(output: dict[str, Any]) -> Iterator[str]:
    """Every text of an output; pictures have none."""
    values = [output.get("text", ""), *output.get("traceback", ())]
    values += [v for kind, v in output.get("data", {}).items() if kind.startswith("text/")]
    for value in values:
        yield _PICTURE.sub("", "".join(value))


def _of_text(text: str) -> Iterator[str]:
    for path in sorted({found[0] for found in _PATH.finditer(text)}):
        yield f"a path of one machine: {path}"
    for name in sorted(set(_RUN.findall(text))):
        if not name.startswith("sandbox-") and name not in set(Verdict):
            yield f"a run of another environment: {name}"
    hosts = {host for found in _ADDRESS.findall(text) for host in found if host}
    yield from (f"another server: {host}" for host in sorted(hosts - LOOPBACK - VOCABULARIES))


def main(arguments: list[str]) -> int:
    """Print what is wrong with each notebook; 1 where there is anything."""
    paths = [Path(name) for name in arguments] or sorted(RUNBOOK.glob("*.ipynb"))
    found = [
        f"{path.name}: {problem}"
        for path in paths
        for problem in problems(json.loads(path.read_text(encoding="utf-8")))
    ]
    for line in found:
        print(line)
    if found:
        print("run `make notebooks`: it executes the pages on the sandbox and keeps their outputs")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
