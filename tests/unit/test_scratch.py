"""The notes of scratch databases: what a killed run has left is known by nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_reimport.nexus.connection import scratch
from nexus_reimport.runbook import doctor
from nexus_reimport.settings import Settings

NAME = f"{scratch.PREFIX}0123456789abcdef"
WHOLE = {"host": "127.0.0.1", "port": 1, "name": NAME, "token": "0123456789abcdef", "at": 0.0}


def without(key: str) -> bytes:
    return json.dumps({name: value for name, value in WHOLE.items() if name != key}).encode()


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda note: note.write_bytes(json.dumps(WHOLE).encode()[:-9]),
    "empty": lambda note: note.write_bytes(b""),
    "of other bytes": lambda note: note.write_bytes(b"\xff\xfe"),
    "no object": lambda note: note.write_bytes(b"[1]"),
    "without a server": lambda note: note.write_bytes(without("host")),
    "without a token": lambda note: note.write_bytes(without("token")),
    "refused by the disk": lambda note: note.mkdir(),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_note_that_cannot_be_read_stays_and_is_told(known: Settings, what: str) -> None:
    register = known.scratch_register
    register.mkdir(parents=True)
    note = register / f"{NAME}.json"
    UNREADABLE[what](note)
    assert scratch.sweep(known.rehearsal_server, register) == ()
    assert note.exists(), "it is all that tells of a copy of patients' rows"
    assert scratch.unreadable(register) == (note,)


def remarks(known: Settings) -> list[doctor.Finding]:
    return [f for f in doctor._machine(known) if f.state is doctor.State.REMARK]


def test_a_note_of_another_server_is_not_dropped_and_the_examination_tells_of_it(
    known: Settings,
) -> None:
    register = known.scratch_register
    register.mkdir(parents=True)
    note = register / f"{NAME}.json"
    note.write_text(json.dumps({**WHOLE, "host": "elsewhere.example"}))
    assert scratch.sweep(known.rehearsal_server, register) == ()
    assert scratch.unreadable(register) == ()
    assert note.exists()
    (remark,) = remarks(known)
    assert f"{NAME} with patients' rows on postgres elsewhere.example:1, which" in remark.text
    note.write_text(json.dumps({**WHOLE, "host": known.postgres.host, "port": known.postgres.port}))
    assert remarks(known) == []


def test_the_examination_names_what_a_note_that_cannot_be_read_may_stand_for(
    known: Settings,
) -> None:
    known.scratch_register.mkdir(parents=True)
    note = known.scratch_register / f"{NAME}.json"
    note.write_bytes(b"")
    (remark,) = remarks(known)
    assert remark.text.startswith(f"{note} cannot be read")
    server = known.rehearsal_server
    assert f"postgres {server.host}:{server.port}" in remark.next
    assert f"drop {NAME} if it exists" in remark.next
