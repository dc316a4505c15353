"""The steps of a run as notebooks and commands call them: open, do, journal, keep the value.

A step opens the run's folder, calls one stage with values of the stages before, journals start
and end, saves what it gave, and returns it to be shown. Safety is in the stages, not in the order
of the calls: a step whose inputs are not there, or not approved, stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from psycopg import sql

from nexus_reimport import (
    backup,
    census,
    checks,
    gate,
    plan,
    record,
    reimport,
    rowfile,
    snapshot,
    survey,
    verify,
)  # fmt: skip
from nexus_reimport import (
    mapping as mappings,
)
from nexus_reimport import (
    settings as environments,
)
from nexus_reimport.checks import before, inside
from nexus_reimport.errors import NOTHING_WRITTEN, InDoubt, StopError, TargetError
from nexus_reimport.mapping import Mapping as NexusMapping
from nexus_reimport.model import (
    Applied,
    Approval,
    Backup,
    Census,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    Snapshot,
    Survey,
)
from nexus_reimport.record import Run, Verdict
from nexus_reimport.settings import Kind, Settings
from nexus_reimport.source.data_api import DataApi
from nexus_reimport.target import deployment
from nexus_reimport.target.catalog import Catalog
from nexus_reimport.target.fingerprint import Fingerprint
from nexus_reimport.target.postgres import (
    OWN_SCHEMA,
    Connection,
    connected,
    exported_snapshot,
    table_name,
)

T = TypeVar("T")
ORDER = ("snapshot", "census", "survey", "backup", "plan", "checks_before", "rehearsal",
         "checks_inside", "proposal", "approval")  # fmt: skip
Progress = Callable[[int, int], None]
Bar = Callable[[str], Progress]


def _no_bar(_: str) -> Progress:
    return lambda done, total: None


def begin(environment: str = "", run_id: str = "", bar: Bar = _no_bar) -> Runbook:
    """A new run, or the named one again; what 01_preflight opens with.

    Raises:
        StopError: the database is not the one that this environment adopted. No run was opened.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    _require_own_database(settings)
    run = record.find(settings, run_id) if run_id else record.create(settings)
    return Runbook(settings, mapping, run, bar)


def resume(environment: str = "", run_id: str = "", bar: Bar = _no_bar) -> Runbook:
    """The named run, or the environment's one open run; what the later notebooks open with.

    Raises:
        StopError: the database is not the one that this environment adopted.
    """
    _require_own_database(environments.load(environment))
    return reopen(environment, run_id, bar)


def reopen(environment: str = "", run_id: str = "", bar: Bar = _no_bar) -> Runbook:
    """As ``resume``, its database not asked: to settle and to seal, which ask it themselves."""
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    return Runbook(settings, mapping, record.find(settings, run_id), bar)


def _require_own_database(settings: Settings, state: str = NOTHING_WRITTEN) -> None:
    """Nothing is read from FileMaker and nothing written before the database is known."""
    with connected(settings.postgres, state) as connection:
        deployment.require(connection, settings.name, state)


@dataclass(frozen=True, slots=True)
class Runbook:
    """One open run: its environment, its mapping, its record."""

    settings: Settings
    mapping: NexusMapping
    run: Run
    bar: Bar = _no_bar

    @property
    def folder(self) -> Path:
        """The run's private folder: row files, dump, CSVs."""
        return self.run.private

    # -------------------------------------------------------------- 01_preflight

    def snapshot(self) -> Snapshot:
        """Read FileMaker wholly."""

        def work() -> Snapshot:
            with self._source() as source:
                return snapshot.take(
                    source,
                    self.mapping,
                    self.folder,
                    layouts=self.settings.filemaker.tables,
                    database=self.settings.filemaker.database,
                    workers=self.settings.filemaker.workers,
                    page=self.settings.filemaker.page,
                    progress=self.bar("records read"),
                )

        return self._step("snapshot", work)

    def census(self) -> Census:
        """List what S3 holds."""
        return self._step(
            "census",
            lambda: census.take(self.settings.s3, self.folder, progress=self.bar("objects")),
        )

    def survey_and_backup(self) -> tuple[Survey, Backup]:
        """Read Nexus and dump it, both of one exported snapshot."""

        def work() -> tuple[Survey, Backup]:
            with connected(self.settings.postgres) as connection, \
                 exported_snapshot(connection) as shared:  # fmt: skip
                seen = survey.read(connection, self.mapping, self.folder)
                saved = backup.take(
                    connection, shared, self.settings.postgres, self.mapping, self.folder
                )
            return seen, saved

        self._begin_step("survey")
        with self.run.stage("survey_and_backup"):
            seen, saved = work()
            self.run.save("survey", seen)
            self.run.save("backup", saved)
        return seen, saved

    def plan(self) -> Plan:
        """Decide everything; the instant of the plan is that of the survey."""
        seen, read = self.run.load(Survey, "survey"), self.run.load(Snapshot, "snapshot")

        def work() -> Plan:
            made = plan.make(
                self.mapping, self.settings, read, seen, self.folder,
                as_of=seen.taken_at, progress=self.bar("entities planned"),
            )  # fmt: skip
            self._list(made)
            return made

        return self._step("plan", work)

    def _list(self, made: Plan) -> None:
        """Lists for people: ids into the record; values into the private folder alone."""
        here, there = self.folder, self.run.folder
        rowfile.to_csv(here, made.ledger, there / "ledger.csv", lambda row: row[1] != "replaced")
        rowfile.to_csv(here, made.misfits, there / "misfits.csv", lambda row: True)
        rowfile.to_csv(here, made.differences, here / "differences.csv", lambda row: True)

    def check_before(self) -> Report:
        """Every check before; look at the report, then ask ``rehearse`` to go on."""
        return self._step("checks_before", lambda: checks.run(
            self._before(), self.settings.waivers, today=_today(self.settings), name="before"
        ))  # fmt: skip

    def rehearse(self) -> Rehearsal:
        """Run the whole transaction and roll it back; gives the state after.

        Raises:
            StopError: a check before blocks. Nothing was written.
        """
        stop_if_blocked(self.run.load(Report, "checks_before"), "01_preflight")
        made = self.run.load(Plan, "plan")

        def work() -> Rehearsal:
            began = datetime.now(UTC)
            applied = reimport.apply(
                self.settings.postgres, self.mapping, self._order(made), self._check_inside,
                commit=False, progress=self.bar("dry run"),
            )  # fmt: skip
            return Rehearsal(
                kind="inside the real transaction, rolled back",
                after=applied.after,
                writers_waited=applied.writers_waited,
                seconds=(datetime.now(UTC) - began).total_seconds(),
                report=applied.report,
            )

        return self._step("rehearsal", work)

    def propose(self) -> Proposal:
        """What approval is asked for; the end of the preflight."""
        load = self.run.load
        return self._step(
            "proposal",
            lambda: gate.propose(
                self.settings, self.mapping.digest, load(Snapshot, "snapshot"),
                load(Survey, "survey"), load(Plan, "plan"), load(Rehearsal, "rehearsal"),
            ),
        )  # fmt: skip

    # -------------------------------------------------------------- 02_execute

    def drift(self) -> dict[str, str]:
        """What FileMaker changed since the snapshot, table by table; empty where nothing did."""
        read = self.run.load(Snapshot, "snapshot")
        changed = {}
        with self.run.stage("drift"), self._source() as source:
            for name, extract in read.extracts.items():
                now = source.count(extract.table)
                modified = self.mapping.sources[name].modified
                found = next((f.found_as for f in extract.fields if f.name == modified), "")
                newest = source.newest(extract.table, found) if found else ""
                if now != extract.rows:
                    changed[name] = f"{extract.rows:,} records then, {now:,} now"
                elif newest != extract.newest:
                    changed[name] = "a record was edited"
        return changed

    def approve(self, typed: str = "", *, rehearsed: bool = False) -> Approval:
        """Let the plan pass, if what was typed is its digest.

        Raises:
            StopError: it is not, or prod has no dev run before it. Nothing was written.
        """
        proposal = self.run.load(Proposal, "proposal")
        return self._step(
            "approval",
            lambda: gate.require(
                self.settings,
                proposal,
                typed,
                mapping_digest=self.mapping.digest,
                how="as rehearsed" if rehearsed and not typed else "digest given",
                forerunner=self._forerunner(),
                rehearsed_is_enough=rehearsed,
            ),
        )

    def apply(self) -> Applied:
        """Wipe, load, re-link, check, COMMIT: the only step that writes clinic data.

        Raises:
            StopError, Busy, TargetError: the database is as it was.
            InDoubt: the connection was lost at COMMIT and the database cannot be asked.
        """
        load = self.run.load
        order = self._order(load(Plan, "plan"), load(Proposal, "proposal"),
                            load(Approval, "approval"))  # fmt: skip
        if any(e["event"] == "committed" for e in self.run.events()):
            raise StopError(
                "this run has been committed already",
                state="committed by this run; nothing was written again",
                next="go on with 03_verify",
            )

        def work() -> Applied:
            try:
                applied = reimport.apply(
                    self.settings.postgres, self.mapping, order, self._check_inside,
                    commit=True, tell=self.run.journal, progress=self.bar("steps"),
                )  # fmt: skip
            except InDoubt as doubt:
                if not self._settled(doubt):
                    raise StopError(
                        "the connection was lost at COMMIT, and the COMMIT did not happen",
                        state="the database is as it was",
                        next="look at the server's log, then run 02_execute again",
                    ) from None
                raise StopError(
                    "the connection was lost at COMMIT, but the COMMIT did happen",
                    state="committed, not verified yet",
                    next="go on with 03_verify",
                ) from None
            return applied

        return self._step("applied", work, stage="apply")

    def _settled(self, doubt: InDoubt) -> bool:
        try:
            return self.settle()
        except (TargetError, StopError):
            raise doubt from None

    def settle(self) -> bool:
        """Ask the database whether this run was committed, and journal what it says.

        Raises:
            StopError: it is not this environment's own, and what it says would be about another.
        """
        _require_own_database(self.settings, "not known yet")
        committed = reimport.settle(self.settings.postgres, self.run.id)
        self.run.journal("settled", committed=committed)
        return committed

    # -------------------------------------------------------------- 03_verify

    def verify(self) -> Report:
        """Every check after, on a fresh connection."""
        load = self.run.load
        if self.run.verdict() not in (Verdict.COMMITTED_UNVERIFIED, Verdict.COMPLETE):
            raise StopError(
                "this run has committed nothing that could be verified",
                next="run 02_execute first",
            )
        return self._step(
            "checks_after",
            lambda: verify.run(
                self.settings, self.mapping, load(Snapshot, "snapshot"), load(Survey, "survey"),
                load(Plan, "plan"), load(Census, "census"), self.folder,
                today=_today(self.settings), progress=self.bar("verified"),
            ),
        )  # fmt: skip

    def sign_off(self) -> Report:
        """The end of the run: journalled as verified if no check after blocks.

        Raises:
            StopError: one does; the data is committed, and a person must decide.
        """
        report = self.run.load(Report, "checks_after")
        with self.run.stage("sign_off"):
            stop_if_blocked(report, "03_verify", state="committed, but not as it should be")
        self.run.journal("verified")
        return report

    # -------------------------------------------------------------- sealing

    def seal(self) -> str:
        """Close the record; its digest goes into the database too. Gives the digest."""
        digest = self.run.seal()
        committed = any(
            e["event"] == "committed" or (e["event"] == "settled" and e["committed"])
            for e in self.run.events()
        )
        if committed:
            self._anchor(digest)
        return digest

    def _anchor(self, digest: str) -> None:
        query = sql.SQL("UPDATE {} SET seal = %s WHERE run = %s AND seal = ''")
        state = "committed; the seal is in the run's folder only"
        with connected(self.settings.postgres, state) as connection:
            deployment.require(connection, self.settings.name, state)
            connection.execute(query.format(table_name(OWN_SCHEMA, "runs")), (digest, self.run.id))

    def anchored(self) -> str:
        """The digest that the database holds for this run; "" where it holds none."""
        query = sql.SQL("SELECT seal FROM {} WHERE run = %s")
        with connected(self.settings.postgres) as connection:
            row = connection.execute(
                query.format(table_name(OWN_SCHEMA, "runs")), (self.run.id,)
            ).fetchone()
        return str(row[0]) if row else ""

    # -------------------------------------------------------------- parts

    def _begin_step(self, name: str) -> None:
        """A step that is run again makes void what was made from what it gave before."""
        if name not in ORDER:
            return
        if any(e["event"] in ("committing", "committed") for e in self.run.events()):
            raise StopError(
                "this run has been executed; its preflight is not changed any more",
                state="nothing was written; plan, backup and approval are as they were",
                next="finish this run with 03_verify; for another one begin a new run",
            )
        self.run.forget(ORDER[ORDER.index(name) + 1 :])

    def _step(self, name: str, work: Callable[[], T], stage: str = "") -> T:
        self._begin_step(name)
        with self.run.stage(stage or name):
            value = work()
            self.run.save(name, value)
        return value

    def _source(self) -> DataApi:
        place = self.settings.filemaker
        return DataApi(place.url, place.database, place.user, place.password.get_secret_value())

    def _order(
        self, made: Plan, proposal: Proposal | None = None, approval: Approval | None = None
    ) -> reimport.Order:
        return reimport.Order(
            self.run.id, self.settings.name, made, self.folder, proposal, approval
        )

    def _before(self) -> before.Before:
        load, earlier = self.run.load, self._earlier()
        return before.Before(
            mapping=self.mapping,
            settings=self.settings,
            snapshot=load(Snapshot, "snapshot"),
            census=load(Census, "census"),
            survey=load(Survey, "survey"),
            backup=load(Backup, "backup"),
            plan=load(Plan, "plan"),
            folder=self.folder,
            earlier=earlier.load(Snapshot, "snapshot") if earlier else None,
            earlier_run=f"{earlier.environment} {earlier.id}" if earlier else "",
        )

    def _earlier(self) -> Run | None:
        """The record before this one: of this environment, else of the one that runs before it."""
        found = _last_complete(self.settings)
        if found is None and self.settings.dev_environment:
            found = _last_complete(environments.load(self.settings.dev_environment))
        return found

    def _check_inside(
        self,
        connection: Connection,
        catalog: Catalog,
        prints: Mapping[str, Fingerprint],
        writes: reimport.Writes,
    ) -> Report:
        subject = inside.Inside(
            connection=connection,
            catalog=catalog,
            mapping=self.mapping,
            survey=self.run.load(Survey, "survey"),
            plan=self.run.load(Plan, "plan"),
            after=prints,
            writes=writes,
        )
        report = checks.run(subject, today=_today(self.settings), name="inside")  # none is waived
        self.run.save("checks_inside", report)
        return report

    def _forerunner(self) -> gate.Forerunner | None:
        if not self.settings.dev_environment:
            return None
        dev = environments.load(self.settings.dev_environment)
        here, there = self.settings.postgres, dev.postgres
        other_database = (here.host, here.port, here.database) != (
            there.host, there.port, there.database,
        )  # fmt: skip
        if dev.kind is not Kind.DEV or dev.sandbox != self.settings.sandbox or not other_database:
            raise StopError(
                f"{dev.name} cannot stand for dev: it must be of kind dev, another database, and"
                " a sandbox only for a sandbox",
                next="name the right one: dev_environment in the environment's file",
            )
        last = _last_complete(dev)
        if last is None:
            return None
        if Runbook(dev, self.mapping, last).anchored() != last.seal_digest():
            raise StopError(
                f"the record {last.id} of {dev.name} is not the one that its database knows",
                next=f"run `nexus-reimport run {dev.name}` again",
            )
        proposal = last.load(Proposal, "proposal")
        return gate.Forerunner(
            last.id, Verdict.COMPLETE, proposal.code, proposal.mapping, proposal.schema
        )


def _last_complete(settings: Settings) -> Run | None:
    """The last run that is COMPLETE and sealed, its record as it was sealed."""
    found = (
        run
        for run in reversed(record.every(settings))
        if run.is_sealed and run.verdict() is Verdict.COMPLETE and not run.problems()
    )
    return next(found, None)


def stop_if_blocked(report: Report, where: str, state: str = "") -> None:
    """Raise StopError naming each check of ``report`` that blocks."""
    if report.passed:
        return
    listed = "\n".join(
        f"    {r.check}: {r.offending:,} of {r.looked_at:,}"
        + (f", {r.waived:,} waived" if r.waived else "")
        + (f" (e.g. {', '.join(r.sample)})" if r.sample else "")
        for r in report.blocking
    )
    raise StopError(
        f"{len(report.blocking)} check(s) said no\n{listed}",
        where=where,
        state=state or "nothing was written",
        next="settle each in FileMaker or in the environment's file, or waive it by name there",
    )


def _today(settings: Settings) -> date:
    return datetime.now(settings.zone).date()
