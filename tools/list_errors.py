"""Fills the tables of docs/troubleshooting.md from the code: messages, codes, checks.

    python tools/list_errors.py            # writes the tables
    python tools/list_errors.py --check    # only says whether they are as the code is

The text of the page is written by hand. A table stands between two comments, of which the first
says what it lists:

    <!-- messages: filemaker.http filemaker.answer -->   every error of these modules
    <!-- checks: Before -->                              every check of that stage
    <!-- filemaker codes -->, <!-- s3 codes -->, <!-- connection refused -->,
    <!-- statement refused -->, <!-- disks -->
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import nexus_reimport
import nexus_sandbox
from nexus_reimport import checks, disks, storage
from nexus_reimport.checks import after, before, inside, rehearsed, rollback
from nexus_reimport.errors import ReimportError
from nexus_reimport.filemaker import codes
from nexus_reimport.nexus.connection import driver_errors, refusal

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "troubleshooting.md"
TABLE = re.compile(r"(<!-- ([a-z0-9]+[^>]*?) -->\n).*?(<!-- end -->)", re.S)
STAGES = (before, rehearsed, inside, after, rollback)  # imported, so that each check is declared
BLANK = "…"
# What makes an error of words that it is given: where it is called, a message stands.
PASSED_ON = {"transient": "SourceError", "inconsistent_read": "SourceError", "Refusal": "StopError"}


@dataclass(frozen=True, slots=True)
class Message:
    """One error as the code writes it; ``words`` and ``todo`` have … where a value comes in."""

    module: str  # without its package
    kind: str
    words: str
    todo: str


# ---------------------------------------------------------------- the code


@cache
def _modules() -> dict[str, ast.Module]:
    """Every module of both packages, parsed, by its name without nexus_reimport."""
    found = {}
    for package in (nexus_reimport, nexus_sandbox):
        folder = Path(package.__path__[0])
        prefix = [] if package is nexus_reimport else [package.__name__]
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join([*prefix, *(part for part in parts if part != "__init__")])
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


@cache
def kinds() -> dict[str, int]:
    """Every class of error by its name, with its exit code."""
    pending = [ReimportError]
    found = {}
    while pending:
        kind = pending.pop()
        found[kind.__name__] = kind.exit_code
        pending += kind.__subclasses__()
    return found


@cache
def messages() -> tuple[Message, ...]:
    """Every error that the code makes, in the order of its modules."""
    found: dict[Message, None] = {}
    for module, tree in _modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found |= dict.fromkeys(_of_call(node, module))
    return tuple(found)


def _of_call(node: ast.Call, module: str) -> Iterator[Message]:
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    is_ours = not module.startswith(nexus_sandbox.__name__)
    kind = name if name in kinds() else PASSED_ON.get(name, "") if is_ours else ""
    if not kind or not node.args:
        return
    todo = _remedy(node, name)
    known = _known(module)
    todos = {_tidy(text): None for text in _texts(todo, known)} if todo else {}
    for words in _texts(node.args[0], known):
        first = words.partition("\n")[0]
        yield Message(module, kind, _tidy(first), " · or: ".join(filter(_has_words, todos)))


def _remedy(node: ast.Call, name: str) -> ast.expr | None:
    """What the error says to do next: as it is given, or as the function that makes it gives it."""
    if name in ("transient", "Refusal"):
        return node.args[-1]
    given = next((k.value for k in node.keywords if k.arg == "next"), None)
    if given is not None or name not in PASSED_ON:
        return given
    makers = (
        n for tree in _modules().values() for n in tree.body if isinstance(n, ast.FunctionDef)
    )
    maker = next((n for n in makers if n.name == name), None)
    calls = (n for n in ast.walk(maker) if isinstance(n, ast.Call)) if maker else ()
    return next((k.value for call in calls for k in call.keywords if k.arg == "next"), None)


def without_remedy() -> list[str]:
    """Where an error is made that does not say what to do next, and its first words."""
    found = []
    for module, tree in _modules().items():
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", "")
            if not isinstance(node, ast.Call) or name not in kinds() or not node.args:
                continue
            is_passed_on = any(k.arg is None for k in node.keywords)  # as **lines
            todo = _remedy(node, name)
            if not is_passed_on and (todo is None or _texts(todo) == [""]):
                found.append(f"{module}, line {node.lineno}: {_texts(node.args[0])[0]}")
    return found


@cache
def _constants(module: str) -> dict[str, ast.expr]:
    """The texts that a module has by name."""
    lines = [line for line in _modules()[module].body if isinstance(line, ast.Assign)]
    return {
        line.targets[0].id: line.value for line in lines if isinstance(line.targets[0], ast.Name)
    }


@cache
def _known(module: str) -> dict[str, ast.expr]:
    """The texts that a module can name: its own, and those of modules from which it takes names."""
    prefix = f"{nexus_reimport.__name__}."
    lines = [line for line in _modules()[module].body if isinstance(line, ast.ImportFrom)]
    others = [(line.module or "").removeprefix(prefix) for line in lines]
    known: dict[str, ast.expr] = {}
    for other in ("errors", *(name for name in others if name in _modules()), module):
        known |= _constants(other)
    return known


def _texts(node: ast.expr, known: Mapping[str, ast.expr] = MappingProxyType({})) -> list[str]:  # noqa: PLR0911
    """What an expression can be, its values as blanks."""
    match node:
        case ast.Constant(str() as value):
            return [value]
        case ast.Name(name) if name in known:
            return _texts(known[name], known)
        case ast.JoinedStr(values):
            held = (v.value if isinstance(v, ast.FormattedValue) else v for v in values)
            parts = [_texts(value, known) for value in held]
            return ["".join(chosen) for chosen in itertools.product(*parts)]
        case ast.BinOp(left, ast.Add(), right):
            return [a + b for a in _texts(left, known) for b in _texts(right, known)]
        case ast.IfExp(_, body, orelse):
            return [*_texts(body, known), *_texts(orelse, known)]
        case ast.BoolOp(ast.Or(), [*options]):
            return [text for one in options for text in _texts(one, known)]
        case ast.Call(ast.Attribute(ast.Name("wording"), "amount"), [_, one, *several]):
            texts = _texts(several[0], known) if several else [f"{t}s" for t in _texts(one, known)]
            return [f"{BLANK} {text}" for text in texts]
    return [BLANK]


def _has_words(text: str) -> bool:
    return bool(re.search(r"[a-z]{2}", text))


def _tidy(text: str) -> str:
    return re.sub(rf"{BLANK}(\s*{BLANK})*", BLANK, " ".join(text.split())).strip()


def is_blank(message: Message) -> bool:
    """Whether its words come from elsewhere: from a table of codes, or from another message."""
    return not _has_words(message.words)


# ---------------------------------------------------------------- the tables


def _table(head: str, rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _of_messages(modules: list[str]) -> str:
    rows = {
        (m.words, f"{m.kind}, {kinds()[m.kind]}", m.todo or "as the message or the text above says")
        for m in messages()
        if m.module in modules and not is_blank(m)
    }
    return _table(
        "you see | kind, exit code | what to do",
        sorted(rows, key=lambda row: (row[0].lower(), *row)),
    )


def _of_filemaker() -> str:
    rows = [(str(number), code.text, code.next) for number, code in sorted(codes.CODES.items())]
    return _table("code | means | what to do", rows)


def _of_connection() -> str:
    whys = [why for _, why in refusal._SHAPES]
    whys += [refusal._UNKNOWN, refusal._NO_ANSWER, *_expired()]
    return _table("you see | what to do", sorted({(w.what, w.next) for w in whys}))


def _expired() -> Iterator[refusal.Why]:
    """Those of a certificate, which stand in a function."""
    for node in ast.walk(ast.parse(inspect.getsource(refusal._of_certificate))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Why":
            yield refusal.Why(*("".join(_texts(arg)) for arg in node.args))


def _of_statement() -> str:
    tree = ast.parse(inspect.getsource(driver_errors._advice))
    (table,) = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    rows = [
        (getattr(k, "attr", ""), *_texts(v, _constants("errors")))
        for k, v in zip(table.keys, table.values, strict=True)
    ]
    rows = sorted(rows)
    rows += [(f"another one, SQLSTATE {of}…", todo) for of, todo in driver_errors._BY_CLASS.items()]
    return _table(
        "name beside the SQLSTATE | what to do", [*rows, ("another one", driver_errors._IN_THE_LOG)]
    )


def _of_disks() -> str:
    rows = [
        row
        for kind in disks.KINDS
        for row in ((kind.what, kind.fix), (kind.servers_what, kind.servers_fix))
    ]
    rows.append((disks.FORBIDDEN.servers_what, disks.FORBIDDEN.servers_fix))
    rows += [(limit.what, limit.fix) for limit in (disks.MEMORY, disks.FILES, disks.THREADS)]
    return _table("you see | what to do", sorted(rows))


def _of_s3() -> str:
    rows = [(code, what, todo) for code, (what, todo) in sorted(storage._CAUSES.items())]
    rows += [("", what, todo) for _, what, todo in storage._FAILURES]
    return _table("code | means | what to do", rows)


def _of_checks(stage: str) -> str:
    rows = []
    for one in checks.REGISTRY:
        if one.stage.__name__ == stage:
            rest = " ".join((inspect.getdoc(one.look) or "").splitlines()[1:]).split()
            rows.append(
                (
                    f"`{one.name}`",
                    one.claim,
                    str(one.level),
                    "yes" if one.waivable else "no",
                    " ".join(rest),
                )
            )
    assert rows, f"no check of the stage {stage}"
    return _table("check | claims | level | can be waived | more", rows)


def table(title: str) -> str:  # noqa: PLR0911
    """The table that a comment of the page asks for."""
    what, _, names = title.partition(": ")
    match what:
        case "messages":
            return _of_messages(names.split())
        case "filemaker codes":
            return _of_filemaker()
        case "connection refused":
            return _of_connection()
        case "statement refused":
            return _of_statement()
        case "disks":
            return _of_disks()
        case "s3 codes":
            return _of_s3()
        case "checks":
            return _of_checks(names)
    raise ValueError(f"no table is called {title!r}")


def filled(text: str) -> str:
    """The page with its tables as the code is now."""
    return TABLE.sub(lambda found: found[1] + table(found[2]) + found[3], text)


def listed(text: str) -> list[str]:
    """The modules whose messages the page lists."""
    titles = [found[2] for found in TABLE.finditer(text)]
    return [name for t in titles if t.startswith("messages: ") for name in t[10:].split()]


def main(arguments: list[str]) -> int:
    """Write the tables, or compare them."""
    text = PAGE.read_text(encoding="utf-8")
    now = filled(text)
    if "--check" in arguments:
        return int(now != text)
    PAGE.write_text(now, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
