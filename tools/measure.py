"""How the package is built, in figures: folders, functions, parameters, imports that cross rooms.

python tools/measure.py
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("nexus_reimport", "nexus_sandbox")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Print all of it."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(_files())}
    _folders(trees)
    functions = [n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, Function)]
    lines = sorted((n.end_lineno or n.lineno) - n.lineno + 1 for n in functions)
    parameters = sorted(len(_parameters(n)) for n in functions)
    print(f"\n{len(functions):,} functions")
    print(f"lines       median {_at(lines, 0.5)}, p90 {_at(lines, 0.9)}, max {lines[-1]}")
    named = f"median {_at(parameters, 0.5)}, p90 {_at(parameters, 0.9)}, max {parameters[-1]}"
    print(f"parameters  {named}")
    crossing = _crossing(trees)
    print(f"\n{sum(crossing.values()):,} imports cross from one room into another")
    for (importer, imported), count in sorted(crossing.items()):
        print(f"  {importer:<28}{imported:<28}{count:>4}")


def _files() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def _folders(trees: dict[Path, ast.Module]) -> None:
    found: dict[str, list[int]] = defaultdict(list)
    for path in trees:
        folder = str(path.parent.relative_to(ROOT))
        found[folder].append(len(path.read_text(encoding="utf-8").splitlines()))
    print(f"{'folder':<40}{'files':>6}{'lines':>8}")
    for folder, lines in sorted(found.items()):
        print(f"{folder:<40}{len(lines):>6}{sum(lines):>8,}")


def _parameters(function: Function) -> list[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [a.arg for a in every if a.arg not in ("self", "cls")]


def _at(values: Sequence[int], part: float) -> int:
    return values[int(part * (len(values) - 1))]


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _crossing(trees: dict[Path, ast.Module]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for path, tree in trees.items():
        importer = _room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.module.split(".")[0] not in PACKAGES:
                continue
            whole = node.module in PACKAGES
            for module in (
                [f"{node.module}.{a.name}" for a in node.names] if whole else [node.module]
            ):
                if _room(module) != importer:
                    found[importer, _room(module)] += 1
    return found


if __name__ == "__main__":
    main()
