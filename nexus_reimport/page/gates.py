"""T4: everything that must hold before a full reimport can be started, each with its state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nexus_reimport import record, runbook
from nexus_reimport.errors import ReimportError
from nexus_reimport.model import Refusal
from nexus_reimport.page import signing, status, words
from nexus_reimport.page.readings import Reading
from nexus_reimport.page.status import Status
from nexus_reimport.record import Run
from nexus_reimport.record.anchor import Unnoted
from nexus_reimport.runbook.connections import Connections
from nexus_reimport.settings import Settings
from nexus_reimport.stages import sign_off

_NONE_LEFT = "no earlier run is left unverified or in doubt"
_WRITTEN = "nobody has written to Nexus since the dry run"
DECIDE = "decide"  # where the page tells of a run that a person must decide about
DRY_RUN = "dry-run"  # where it tells of the last run
CONNECTIONS = "connections"  # where the page tells of each server
_BRING = "bring the folder of the records back"
_WAIT, _FINISH = "wait until what is at work has ended", "finish the earlier run first"
_SERVERS = "every server under Connections answers, and every right is there"


class State(StrEnum):
    """How a gate stands."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "not known yet"


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that must hold: how it stands, why, and what a person does about it."""

    claim: str
    state: State
    why: str = ""
    next: str = ""
    place: str = ""  # of the page, where that is done; "" where it says so itself

    @property
    def is_open(self) -> bool:
        """Whether it holds."""
        return self.state is State.OPEN


@dataclass(frozen=True, slots=True)
class Gates:
    """All gates of a full reimport."""

    every: tuple[Gate, ...]

    @property
    def are_open(self) -> bool:
        """Whether the reimport can be started."""
        return all(gate.is_open for gate in self.every)

    @property
    def closed(self) -> tuple[Gate, ...]:
        """Those that do not hold, or of which nothing is known."""
        return tuple(gate for gate in self.every if not gate.is_open)


def read(
    settings: Settings,
    seen: Reading[Status],
    servers: Reading[Connections],
    *,
    busy: bool,
) -> Gates:
    """Every gate as it stands now; ``busy`` says that a command is at work."""
    run, unfinished = status.waiting(settings), record.unfinished(settings)
    return Gates(
        (
            _idle(busy=busy),
            _unnoted(status.unnoted(settings, seen.value)) or _settled(unfinished, seen, busy=busy),
            _dry_run(run, unfinished, seen, busy=busy),
            *_of_the_approval(run, busy=busy),
            _unwritten(run, seen),
            _servers(servers),
        )
    )


def refusals(gates: Gates) -> tuple[Refusal, ...]:
    """Those that are closed, as what an approval would be refused for."""
    closed = (gate for gate in gates.every if gate.state is State.CLOSED)
    return tuple(Refusal(gate.why or gate.claim, gate.next) for gate in closed)


def _idle(*, busy: bool) -> Gate:
    claim = "no other command is at work"
    if busy:
        return Gate(claim, State.CLOSED, "one is at work now", "wait until it has ended")
    return Gate(claim, State.OPEN)


def _is_away(seen: Reading[Status]) -> bool:
    return bool(seen.value and seen.value.apart.away)


def _unnoted(one: Unnoted | None) -> Gate | None:
    return Gate(_NONE_LEFT, State.CLOSED, f"the database {one}", _FINISH, DRY_RUN) if one else None


def _settled(run: Run | None, seen: Reading[Status], *, busy: bool) -> Gate:
    claim = _NONE_LEFT
    if _is_away(seen):
        return Gate(claim, State.CLOSED, "the records of the earlier runs are not here", _BRING)
    if run is None:
        return Gate(claim, State.OPEN)
    if busy:  # it may be the one at work: between COMMIT and its verification each run is so
        return Gate(claim, State.UNKNOWN, f"run {run.id} has not ended", _WAIT)
    return Gate(
        claim, State.CLOSED, f"run {run.id} is {words.verdict(run.verdict())}", _FINISH, DECIDE
    )


def _dry_run(run: Run | None, unfinished: Run | None, seen: Reading[Status], *, busy: bool) -> Gate:
    claim = "a dry run has ended in GO and waits for its approval"
    if run is None and busy:  # it may be the one at work
        return Gate(claim, State.CLOSED, "no dry run waits yet", _WAIT)
    if run is None and unfinished:  # a dry run would be refused
        return Gate(claim, State.CLOSED, "no dry run waits", _FINISH, DECIDE)
    if run is None:
        todo = _BRING if _is_away(seen) else "start a dry run, and read what it says"
        return Gate(claim, State.CLOSED, "no dry run waits", todo)
    return Gate(claim, State.OPEN)


def _of_the_approval(run: Run | None, *, busy: bool) -> Iterator[Gate]:
    """What the runner itself would refuse the approval for."""
    if run is None or busy:
        return
    try:
        gates = runbook.reopen(run.environment, run.id).gates()
    except ReimportError as error:
        yield Gate("the dry run can be approved", State.CLOSED, error.what, error.next)
        return
    for gate in gates:
        claim = words.in_page_words(gate.claim)
        if gate.refusal:
            yield _refused(claim, gate.refusal)
        else:
            yield Gate(claim, State.OPEN)


def _refused(claim: str, refusal: Refusal) -> Gate:
    why = words.in_page_words(refusal.what)
    if claim.partition(":")[0] in sign_off.CLAIMS:
        return Gate(claim, State.CLOSED, why, "sign it under Sign-off", signing.PLACE)
    return Gate(claim, State.CLOSED, why, words.in_page_words(refusal.next))


def _unwritten(run: Run | None, seen: Reading[Status]) -> Gate:
    if run is None:
        return Gate(_WRITTEN, State.UNKNOWN, "there is no dry run to compare with")
    if seen.error:
        return Gate(_WRITTEN, State.UNKNOWN, seen.error.what, "read Nexus again")
    written = seen.value.written if seen.value else None
    if written is None or written.run != run.id:
        return Gate(_WRITTEN, State.UNKNOWN, "Nexus is being read")
    if written.tables:
        why = "\n".join(written.tables)
        return Gate(_WRITTEN, State.CLOSED, why, "start another dry run: its plan is void")
    return Gate(_WRITTEN, State.OPEN)


def _servers(servers: Reading[Connections]) -> Gate:
    if servers.error:
        return Gate(_SERVERS, State.UNKNOWN, servers.error.what, "test the connections again")
    if servers.value is None:
        return Gate(_SERVERS, State.UNKNOWN, "they are being asked")
    broken = [one.name for one in servers.value.every if not one.is_sound]
    broken += [table.table for table in servers.value.tables if table.error]
    if broken:
        why = f"not so: {'; '.join(broken)}"
        return Gate(_SERVERS, State.CLOSED, why, "fix what Connections shows", CONNECTIONS)
    return Gate(_SERVERS, State.OPEN)
