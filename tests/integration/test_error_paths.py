"""Fifty errors and outputs that hold a patient's data: none of it comes into a record."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError
from nexus_reimport.events import Event
from nexus_reimport.record import Run, Verdict, journal
from nexus_reimport.record.notebooks import pages
from nexus_reimport.runbook import hooks
from nexus_reimport.runner import notebook
from support.clinic import Clinic
from support.commands import command
from support.executing import page_of, run_cells
from support.leaking import files
from support.running import DEV

# Kind of data -> a value that no other text holds.
PLANTED = {
    "a name": "Quillfeather",
    "a birth date": "1931-04-17",
    "a phone": "0499 871 236",
    "a note": "stumbled over the blue ladder",
    "a secret": "w0mbat-and-71-keys",
}
ALL = " | ".join(PLANTED.values())
READY = """\
import os, logging, sys, threading, warnings, asyncio, io, json, subprocess
from pathlib import Path
from nexus_reimport import mapping, record, settings, storage
from nexus_reimport.nexus.connection.postgres import connected
known = settings.load('sandbox-dev')
run = record.find(known, run_id)
text = Path(os.environ['CANARY']).read_text()
folder = Path(os.environ['CANARY']).parent

def ask(query, *values, before=''):
    '''One statement as our own code sends it.'''
    with connected(known.postgres) as connection:
        if before:
            connection.execute(before)
        connection.execute(query, values or None)

TABLE = ('CREATE TEMP TABLE one (name text NOT NULL UNIQUE, age int CHECK (age < 9),'
         ' short varchar(3), at tstzrange, EXCLUDE USING gist (at WITH &&),'
         ' of text REFERENCES two DEFERRABLE INITIALLY DEFERRED)')
TWO = 'CREATE TEMP TABLE two (name text PRIMARY KEY);'
"""
# How an error comes about -> what provokes it, inside of a stage: the journal gets it as well.
OF_POSTGRES = {
    "a value that is no uuid": "ask('SELECT %s::uuid', text)",
    "a value that is no number": "ask('SELECT %s::int', text)",
    "a value that is no date": "ask('SELECT %s::date', text)",
    "text that is no JSON": "ask('SELECT %s::jsonb', text)",
    "an array that is none": "ask('SELECT %s::text[]', '{' + text + '\"')",
    "a row with NULL": "ask('INSERT INTO one (name, short) VALUES (NULL, %s)', text[:3],"
    ' before=TWO + TABLE + "; ALTER TABLE one ALTER short TYPE text, ALTER short SET DEFAULT \'"'
    ' + text + "\'; INSERT INTO one (name) VALUES (NULL)")',
    "a key that is there": "ask('INSERT INTO one (name) VALUES (%s), (%s)', text, text,"
    " before=TWO + TABLE)",
    "a CHECK": "ask('INSERT INTO one (name, age) VALUES (%s, 10)', text, before=TWO + TABLE)",
    "a foreign key": "ask('SET CONSTRAINTS ALL IMMEDIATE', before=TWO + TABLE + "
    "\"; BEGIN; INSERT INTO one (name, of) VALUES ('a', '\" + text + \"')\")",
    "an EXCLUDE": "born = text.split(' | ')[1]\n"
    "ask(\"INSERT INTO one (name, at) VALUES (%s, '[2020-01-01,)'), ('b', '[\" + born + \",)')\","
    " text, before=TWO + TABLE)",
    "a text that is too long": "ask('INSERT INTO one (name, short) VALUES (%s, %s)', text, text,"
    " before=TWO + TABLE)",
    "a function that raises": 'ask("DO $$ BEGIN RAISE EXCEPTION \'" + text + "\''
    ' USING DETAIL = \'" + text + "\', HINT = \'" + text + "\'; END $$")',
    "a name that is none": "ask('SELECT \"' + text + '\" FROM pg_class')",
    "a table that is none": "ask('SELECT 1 FROM \"' + text + '\"')",
    "a statement that cannot be read": "ask('SELEC ' + text)",
    "a time limit": 'ask("SELECT pg_sleep(9), \'" + text + "\'",'
    " before=\"SET statement_timeout = '50ms'\")",
    "a line of COPY": "with connected(known.postgres) as connection:\n"
    "    connection.execute(TWO + TABLE)\n"
    "    with connection.cursor().copy('COPY one (name, age) FROM STDIN') as copy:\n"
    "        copy.write_row(('a', text))",
    "a line of COPY with too many columns": "with connected(known.postgres) as connection:\n"
    "    connection.execute(TWO + TABLE)\n"
    "    with connection.cursor().copy('COPY one (name) FROM STDIN') as copy:\n"
    "        copy.write(text + '\\t' + text + '\\n')",
    "what the driver cannot send": "ask('SELECT %s', text + '\\0')",
    "a division, as the driver itself tells it": "import psycopg\n"
    "with psycopg.connect(host=known.postgres.host, port=known.postgres.port,"
    " dbname=known.postgres.database, user=known.postgres.user,"
    " password=known.postgres.password.get_secret_value()) as raw:\n"
    "    raw.execute('SELECT %s::int', (text,))",
    "a server that does not know the database": "import psycopg\n"
    "psycopg.connect(host=known.postgres.host, port=known.postgres.port, dbname=text,"
    " user=known.postgres.user, password=text)",
}
OF_SOURCES = {
    "an answer of FileMaker that is no envelope": "from nexus_reimport.filemaker import answer\n"
    "from nexus_reimport.filemaker.data_api import envelope\n"
    "body = json.dumps({'messages': text}).encode()\n"
    "made = {n: None for n in answer.Answer.__dataclass_fields__}\n"
    "made |= {'content': body, 'status': 200}\n"
    "envelope.opened(answer.Answer(**made), 'the clinic')",
    "an answer that does not parse": "json.loads('{\"name\": ' + text)",
    "a field that is neither text nor number": "from nexus_reimport.filemaker import jsontext\n"
    "jsontext.texts({'name': [text]}, 'the clinic')",
    "JSON, read strictly": "import simplejson\nsimplejson.loads('[' + text)",
    "a key in S3": "storage.opened(known.s3, lists_only=False).get_object("
    "Bucket=known.s3.bucket, Key=text)",
    "a bucket in S3": "storage.opened(known.s3, lists_only=False).list_objects(Bucket=text)",
    "an answer of S3 that is no listing": "storage.opened(known.s3).get_object("
    "Bucket=known.s3.bucket, Key=text)",
    "a file name": "(folder / text / 'notes.csv').read_bytes()",
    "a file that is not UTF-8": "(folder / 'bad').write_bytes(text.encode() + b'\\xff')\n"
    "from nexus_reimport.files import textfile\ntextfile.read(folder / 'bad')",
    "bytes that are no text": "(text.encode() + b'\\xff').decode()",
    "a row file that is none": "from nexus_reimport.files import rowfile\n"
    "(folder / 'x.parquet').write_text(text)\nlist(rowfile.distinct(folder / 'x.parquet'))",
    "a workbook that is none": "from nexus_reimport.files import workbook\n"
    "workbook.opened(text.encode(), values=True)",
    "a cell of a workbook": "import openpyxl\nbook = openpyxl.Workbook()\n"
    "book.active['A1'] = '=' + text\nbook.active['B1'].value = {text}",
    "a sheet that is not there": "import openpyxl\nopenpyxl.Workbook()[text]",
    "a mapping with a value in it": "(folder / 'odd.toml').write_text("
    "'[entities.patients]\\nsource = ' + json.dumps(text) + '\\ncolumns = ' + json.dumps(text))\n"
    "mapping.load('odd', folder)",
    "a mapping that is no TOML": "(folder / 'odder.toml').write_text('name = ' + text)\n"
    "mapping.load('odder', folder)",
    "an environment with a secret in it": "(folder / 'spoilt.toml').write_text("
    "(folder / 'sandbox-dev.toml').read_text().replace('{ env = \"NEXUS_SANDBOX_PG_PASSWORD\" }',"
    " json.dumps(text)).replace('sandbox-dev', 'spoilt'))\n"
    "settings.load('spoilt')",
    "a date that is none": "import datetime\ndatetime.date.fromisoformat(text)",
    "a conversion": "import uuid\nuuid.UUID(text)",
    "a frame": "import pandas\npandas.DataFrame({'name': [text]})[text]",
    "another program": "subprocess.run(['sh', '-c', 'echo \"$0\" >&2; exit 3', text], check=True)",
    "another program's output": "subprocess.run(['sh', '-c', 'echo \"$0\"; exit 3', text],"
    " check=True, capture_output=True)",
}
OF_PYTHON = {
    "a key": "{}[text]",
    "an assertion": "assert not text, text",
    "an error with a cause": "try:\n    {}[text]\nexcept KeyError as error:\n"
    "    raise ValueError('a value') from error",
    "an error with notes": "error = ValueError('a value')\nerror.add_note(text)\nraise error",
    "a group of errors": "raise ExceptionGroup(text, [KeyError(text), OSError(2, 'no', text)])",
    "one of ours around one of theirs": "from nexus_reimport.errors import StopError\n"
    "try:\n    {}[text]\nexcept KeyError:\n    raise StopError('the check failed')",
    "a class with the name of ours": "class StopError(Exception):\n    exit_code = 1\n"
    "    what = where = state = next = text\nraise StopError(text)",
    "a class with a value for its name": "raise type(text, (Exception,), {})('no')",
    "locals in a traceback": "get_ipython().run_line_magic('xmode', 'Verbose')\n"
    "def inner(patient):\n    raise ValueError('a value')\ninner(text)",
    "source that cannot be read": "exec('if ' + text)",
    "an interrupt": "raise KeyboardInterrupt(text)",
}
# Outputs that no error stops.
LEFT = {
    "a warning": "warnings.warn(text)",
    "a warning of a library": "import pandas\nwarnings.warn_explicit(text, FutureWarning, text, 3)",
    "a logger": "logging.error(text)",
    "a logger with a traceback": "try:\n    {}[text]\nexcept KeyError:\n"
    "    logging.exception(text)",
    "a logger that cannot write": "logging.error('%d', text)",
    "a thread": "one = threading.Thread(target=lambda: {}[text], name=text)\n"
    "one.start(); one.join()",
    "what nobody can catch": "class Odd:\n    def __del__(self):\n        {}[text]\nOdd(); None",
    "a task that nobody waits for": "async def odd():\n    {}[text]\n"
    "task = asyncio.ensure_future(odd())\nawait asyncio.sleep(0)\ndel task\nimport gc; gc.collect()"
    "; None",
    "standard error, under Python": "os.write(2, text.encode() + b'\\n'); None",
    "standard output, under Python": "os.write(1, text.encode() + b'\\n'); None",
    "another program that prints": "subprocess.run(['sh', '-c', 'echo \"$0\"; echo \"$0\" >&2',"
    " text]); None",
    "the original standard error": "print(text, file=sys.__stderr__, flush=True)",
    "a value": "text",
    "HTML": "from IPython.display import HTML, display\ndisplay(HTML(text))",
    "an update of an output": "from IPython.display import display\n"
    "handle = display('nothing', display_id=True)\nhandle.update(text)",
    "a pager": "get_ipython().payload_manager.write_payload("
    "{'source': 'page', 'data': {'text/plain': text}, 'start': 0})",
    "the next input": "get_ipython().set_next_input(text)",
}
SQLSTATES = {
    *("22P02", "22007", "23502", "23505", "23514", "23503", "23P01", "22001", "P0001"),
    *("42703", "42P01", "42601", "57014", "22P04"),
}
RAISED = OF_POSTGRES | OF_SOURCES | OF_PYTHON


@pytest.fixture
def canary(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that holds the values, so that no cell's own text does."""
    place = clinic.folder / "canary"
    place.write_text(ALL)
    monkeypatch.setenv("CANARY", str(place))
    return place


def in_stage(source: str) -> str:
    return "with run.stage('plan'):\n" + textwrap.indent(source, "    ")


def found(run: Run, told: tuple[str, str]) -> list[str]:
    """Which values stand in the record or in what the runner has printed, and where."""
    texts = [*files(run.bag), ("stdout", told[0]), ("stderr", told[1])]
    texts += [("a file's name", path.name) for path in run.bag.rglob("*")]
    return [
        f"{kind} in {place}" for place, text in texts for kind, v in PLANTED.items() if v in text
    ]


def test_nothing_of_fifty_errors_comes_into_a_record(
    clinic: Clinic, canary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(RAISED) + len(LEFT) >= 65
    sources = [READY, *map(in_stage, RAISED.values()), *LEFT.values()]
    run = run_cells(clinic, *sources, goes_on=True)
    assert found(run, capfd.readouterr()) == []
    failed = [e.line for e in run.events() if e.event is Event.FAILED]
    assert len(failed) == len(RAISED), "each of them has raised an error"
    refused = set(re.findall(r"SQLSTATE (\w{5})", str(failed)))
    assert refused >= SQLSTATES, "each in the way that it is named after"
    raw = pages.read(run.private / pages.EXECUTED / "page.ipynb")
    cells = [str(c.outputs) for c in raw.cells if c.cell_type == "code"][-len(sources) + 1 :]
    silent = [
        name
        for name, outputs in zip([*RAISED, *LEFT], cells, strict=True)
        if not any(value in outputs for value in PLANTED.values())
    ]
    assert set(silent) <= HIDDEN, "all others have shown a value in the page as it was executed"
    own = (run.private / pages.EXECUTED / "page.log").read_text()
    assert own.count(PLANTED["a name"]) >= len(TO_THE_KERNELS_OWN)


# What our own code has hidden before it came into a page, or what a page never holds.
TO_THE_KERNELS_OWN = {
    "standard error, under Python",
    "standard output, under Python",
    "another program that prints",
    "the original standard error",
}
HIDDEN = {
    *OF_POSTGRES,
    *OF_SOURCES,
    *TO_THE_KERNELS_OWN,
    "an error with notes",
    "one of ours around one of theirs",
    "a pager",
    "the next input",
}


def test_a_page_that_ends_with_an_error_holds_nothing_of_it(
    clinic: Clinic, canary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_cells(clinic, READY, "logging.error(text)\n{}[text]")
    assert run.verdict() is Verdict.FAILED
    assert "papermill" in (run.folder / "page.ipynb").read_text()
    assert found(run, capfd.readouterr()) == []


@pytest.mark.parametrize(
    "source",
    [
        "os.write(2, text.encode()); os._exit(9)",
        "import faulthandler, ctypes\nfaulthandler.enable()\nprint(text, flush=True)\n"
        "ctypes.string_at(0)",
    ],
    ids=["ended", "crashed"],
)
def test_a_kernel_that_dies_leaves_nothing(
    clinic: Clinic, canary: Path, capfd: pytest.CaptureFixture[str], source: str
) -> None:
    run = run_cells(clinic, READY, source)
    assert run.verdict() is Verdict.KILLED
    assert found(run, capfd.readouterr()) == []


# How a hook ends after it has printed patients' data -> what is said of it.
ENDS = {
    "exit 3": "ended with exit code 3",
    "kill -9 $$": "was ended by signal 9",
    "sleep 300": "was ended with all its children: it took longer than its 2 s",
}


def talking_hooks(clinic: Clinic, canary: Path, then: str) -> None:
    """Hooks that print all that they can read, wherever they can, and then end like this."""
    script = clinic.folder / "hook"
    printed = f'cat "{canary}"; cat "{canary}" >&2; cat; cat "{canary}" > /dev/tty'
    script.write_text(f"#!/bin/sh\n{printed}\n{then}\n")
    script.chmod(0o700)
    named = "".join(f'{hook} = ["{script}"]\n' for hook in ("enter", "leave", "told"))
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(f"{path.read_text()}\n[hooks]\n{named}timeout = 2\n")


@pytest.mark.parametrize("then", ENDS)
def test_what_a_hook_prints_comes_neither_into_a_record_nor_onto_the_terminal(
    clinic: Clinic, canary: Path, rehearsed: Path, capsys: pytest.CaptureFixture[str], then: str
) -> None:
    talking_hooks(clinic, canary, then)
    book = clinic.approved(rehearsed)
    with pytest.raises(StopError) as stopped:
        book.apply()
    code, out, err = command(capsys, "seal", DEV)
    told = "\n".join([str(stopped.value), *stopped.value.__notes__, out, err])
    assert code == 1
    for hook in ("enter", "leave", "told"):
        assert f"`{hook}` {ENDS[then]}" in told
    assert book.run.is_sealed
    assert found(book.run, (told, "")) == []
    log = hooks.log_path(book.settings)
    assert log.read_text().count(PLANTED["a name"]) >= 3 * 2, "they have printed it"
    assert not log.stat().st_mode & 0o077


def test_a_page_that_cannot_be_shown_is_told_without_its_words(
    clinic: Clinic, canary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = page_of(clinic.folder, READY)
    run = record.create(environments.load(DEV))
    notebook.execute(run, "page", {"run_id": run.id}, clinic.folder)
    raw = run.private / pages.EXECUTED / "odd.ipynb"
    raw.write_text(path.read_text().replace("# %%", "").replace('"cells": [', f'"cells": [{ALL}'))
    pages.before_seal(run.folder, run.private)
    (untidy,) = journal.only(run.events(), Event.UNTIDY)
    assert (untidy.text("page"), untidy.text("kind")) == ("odd", "ValueError")
    assert found(run, capfd.readouterr()) == []
