"""The steps of a run as notebooks and commands call them: open, do, journal, keep the value.

A step opens the run's folder, calls one stage with values of the stages before, journals start
and end, saves what it gave, and returns it to be shown. Safety is in the stages, not in the order
of the calls: a step whose inputs are not there, or not approved, stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from nexus_reimport import checks, forms, record, wording
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.checks import before, rehearsed
from nexus_reimport.checks import rows as _rows  # noqa: F401 - declares its checks
from nexus_reimport.checks.inside import Inside
from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.errors import InDoubt, ReimportError, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.filemaker import Source
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import (
    Applied,
    Approval,
    Backup,
    Census,
    Extract,
    Ground,
    Newer,
    Outlook,
    Plan,
    Proposal,
    Refusal,
    Rehearsal,
    Report,
    Scope,
    Snapshot,
    Survey,
    Undone,
)
from nexus_reimport.nexus import activity, schema, waiters
from nexus_reimport.nexus.activity import Activity, Watched
from nexus_reimport.nexus.postgres import exported_snapshot
from nexus_reimport.nexus.rights import Task
from nexus_reimport.nexus.scratch import Scratch
from nexus_reimport.nexus.tables import Role
from nexus_reimport.nexus.transaction import ROLLED_BACK
from nexus_reimport.planning import listings, manual, plan
from nexus_reimport.record import Run, Verdict, anchor, journal
from nexus_reimport.runbook import maintenance
from nexus_reimport.runbook.opening import (
    Bar,
    clear_scratch,
    create,
    last_complete,
    naming_rights,
    no_bar,
    require_own_database,
    require_ready,
    today,
)
from nexus_reimport.settings import Kind, Postgres, Settings
from nexus_reimport.stages import (
    apply as reimport,
)
from nexus_reimport.stages import (
    approval as gate,
)
from nexus_reimport.stages import (
    backup,
    census,
    refused_rows,
    rehearsal,
    snapshot,
    survey,
    undo,
    verify,
)
from nexus_reimport.stages.verify import Expected

T = TypeVar("T")
# What is made from what: a step that is run again makes void what stands after it.
ORDER = (
    "snapshot",
    "census",
    "survey",
    "backup",
    "plan",
    "checks_before",
    "rehearsal",
    "checks_rehearsal",
    "checks_inside",
    "proposal",
    "outlook",
    "approval",
)
# A kind of run -> what it needs rights for.
TASKS = {
    str(Scope.REIMPORT): Task.RUN,
    str(Scope.RELINK): Task.RELINK,
    "rollback": Task.ROLLBACK,
}
ROLLBACK_ORDER = ("rollback_backup", "look", "rollback_proposal", "approval")


def begin(
    environment: str = "", run_id: str = "", bar: Bar = no_bar, *, links_only: bool = False
) -> Runbook:
    """A new run, or the named one again; what 01_preflight opens with.

    ``links_only`` begins one that re-links documents and images and does nothing else.

    Raises:
        StopError: the database is not the one that this environment adopted, or rights are missing.
            No run was opened.
    """
    settings = environments.load(environment)
    mapping = mappings.load_for(settings, environments.folder())
    kind = Scope.RELINK if links_only else Scope.REIMPORT
    known = record.find(settings, run_id) if run_id else None
    require_ready(settings, mapping, TASKS[known.kind if known else kind])
    clear_scratch(settings)
    return Runbook(settings, mapping, known or create(settings, kind), bar)


def resume(environment: str = "", run_id: str = "", bar: Bar = no_bar) -> Runbook:
    """The named run, or the environment's one open run; what the later notebooks open with.

    Raises:
        StopError: the database is not the one that this environment adopted.
    """
    require_own_database(environments.load(environment))
    return reopen(environment, run_id, bar)


def reopen(environment: str = "", run_id: str = "", bar: Bar = no_bar) -> Runbook:
    """As ``resume``, its database not asked: to settle and to seal, which ask it themselves."""
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    return Runbook(settings, mapping, record.find(settings, run_id), bar)


@dataclass(frozen=True, slots=True)
class Runbook:
    """One open run: its environment, its mapping, its record."""

    settings: Settings
    mapping: FieldMapping
    run: Run
    bar: Bar = no_bar

    @property
    def scope(self) -> Scope:
        """How much this run does."""
        return Scope(self.run.kind)

    @property
    def task(self) -> Task:
        """What this run needs rights for."""
        return TASKS[self.run.kind]

    @property
    def folder(self) -> Path:
        """The run's private folder: row files, dump, CSVs."""
        return self.run.private

    # -------------------------------------------------------------- 01_preflight

    def snapshot(self) -> Snapshot:
        """Read FileMaker wholly; to re-link alone, only what documents and images need."""
        sources = {a.source for a in self.mapping.attachments.values()}

        def work() -> Snapshot:
            with self._channels() as channels:
                read = snapshot.take(
                    channels,
                    self.mapping,
                    self.folder,
                    sources=sources if self.scope is Scope.RELINK else (),
                    database=self.settings.filemaker.database,
                    workers=self.settings.filemaker.workers,
                    page=self.settings.filemaker.page,
                    progress=self.bar("records read"),
                )
            listings.cleaned(read, self.folder, self.run.folder)
            return read

        return self.step("snapshot", work)

    def census(self) -> Census:
        """List what S3 holds."""
        return self.step(
            "census",
            lambda: census.take(self.settings.s3, self.folder, progress=self.bar("objects")),
        )

    def survey_and_backup(self) -> tuple[Survey, Backup]:
        """Read Nexus and dump it, both of one exported snapshot."""

        def work() -> tuple[Survey, Backup]:
            with (
                waiters.reading(self.settings.postgres) as connection,
                exported_snapshot(connection) as shared,
            ):
                seen = survey.read(connection, self.mapping, self.folder, self.task)
                known = {
                    f"{self.mapping.schema_name}.{name}": table.fingerprint
                    for name, table in seen.tables.items()
                    if table.role is not Role.LINK and not table.left_out
                }
                saved = backup.take(
                    connection, shared, self.settings.postgres, self.mapping, self.folder, known
                )
            return seen, saved

        self._begin_step("survey")
        with (
            self.run.stage("survey_and_backup"),
            naming_rights(self.settings, self.mapping, self.task),
            self._watched(anew=True),
        ):
            seen, saved = self.reading(work)()
            self.run.save(seen)
            self.run.save(saved, "backup")
        return seen, saved

    def plan(self) -> Plan:
        """Decide everything; the instant of the plan is that of the survey."""
        intake = self.intake()
        as_of = intake.survey.taken_at

        def work() -> Plan:
            if self.scope is Scope.RELINK:
                return plan.relink(intake, as_of=as_of)
            made = plan.make(
                intake,
                self.settings,
                as_of=as_of,
                given=manual.read(self.settings.sheet, manual.kinds(intake)),
                progress=self.bar("entities planned"),
            )
            listings.ids(made, self.folder, self.run.folder)
            listings.values(made, intake)
            if self.mapping.by_hand:
                path = self.folder / environments.SHEET
                listings.sheet(made, intake, self.settings.zone, path)
            return made

        return self.step("plan", work)

    def check_before(self) -> Report:
        """Every check before; look at the report, then ask ``rehearse`` to go on."""
        return self.step("checks_before", lambda: self._check(self._before(), "before"))

    def rehearse(self) -> Rehearsal:
        """Run everything on a restored copy, take it back, run it again; gives the state after.

        Where no copy can be made: the whole transaction, rolled back, and nothing is proven of the
        backup; prod needs a waiver for that.

        Raises:
            StopError: a check before blocks, or the rehearsal found what must not be. The real
                database was only read.
        """
        checks.require(self.run.load(Report, "checks_before"), where="01_preflight")
        made, saved = self.run.load(Plan), self.run.load(Backup, "backup")
        server = self.settings.rehearsal_server

        def work() -> Rehearsal:
            why = rehearsal.why_not(server, saved)
            possible = self._check(rehearsed.Rehearsing(self.settings, why), "rehearsal")
            self.run.save(possible, "checks_rehearsal")
            checks.require(possible, where="01_preflight")
            with self._watched(own_writes=bool(why)):
                if why:
                    return self._rehearse_inside(made, why)
                return rehearsal.on_a_copy(
                    server,
                    saved,
                    self.settings.scratch_register,
                    self._acts(made, saved),
                    tell=self.run.journal,
                    progress=self.bar("rehearsal"),
                )

        return self.step("rehearsal", work)

    def _acts(self, made: Plan, saved: Backup) -> rehearsal.Acts:
        """What is rehearsed on a copy, under names of runs that exist there alone."""
        name = f"{self.run.id}-rehearsal"

        def verified(copy: Scratch) -> Report:
            expected = self.expected()
            return verify.run(
                self.settings,
                expected,
                lambda: expected.census,
                today=today(self.settings),
                copy=copy.place,
            )

        def undone(copy: Scratch, number: int) -> Undone:
            order = undo.RollbackRequest(
                f"{name}-undo-{number}",
                self.settings.name,
                f"{name}-{number}",
                Newer.UNDECIDED,
                scratch=copy,
            )
            return undo.run(copy.place, self.mapping, order, self.check_undoing)

        def applied(copy: Scratch, number: int) -> Applied:
            order = replace(self._order(made), run=f"{name}-{number}", scratch=copy)
            with self._explained(copy.place, made, rehearsal.COPY_DROPPED):
                return reimport.apply(copy.place, order, self._check_inside, commit=True)

        return rehearsal.Acts(
            restore=lambda place: backup.restore(saved, self.folder, place, to_look_at=True),
            apply=applied,
            verify=verified,
            undo=undone,
            left_out=backup.left_out(saved),
        )

    def _rehearse_inside(self, made: Plan, why: str) -> Rehearsal:
        began = datetime.now(UTC)
        with self._explained(self.settings.postgres, made, ROLLED_BACK):
            applied = reimport.apply(
                self.settings.postgres,
                self._order(made),
                self._check_inside,
                commit=False,
                progress=self.bar("dry run"),
            )
        return rehearsal.inside(applied, why, (datetime.now(UTC) - began).total_seconds())

    @contextmanager
    def _explained(self, place: Postgres, made: Plan, state: str) -> Iterator[None]:
        """Where PostgreSQL refuses rows, they are named by FileMaker's ids."""
        try:
            yield
        except TargetError as error:
            refused_rows.explain(error, place, self.mapping, made, self.folder, state)
            raise

    def activity(self) -> Activity:
        """Who else wrote to the plan's tables since the survey, and whether the plan still stands.

        Raises:
            StopError: this run has been executed: what it wrote itself would be counted.
        """
        self._refuse_executed()
        seen, watched = self.run.load(Survey), self.run.load(Watched)
        roles = (Role.LINK,) if self.scope is Scope.RELINK else (Role.WIPED, Role.LINK)
        before = seen.fingerprints(*roles)
        return self.step(
            "activity",
            self.reading(
                lambda: activity.told(watched, self.settings.postgres, self.mapping, before)
            ),
        )

    @contextmanager
    def _watched(self, *, anew: bool = False, own_writes: bool = False) -> Iterator[None]:
        """Others who write meanwhile are noted; ``own_writes``: the block itself does, too."""
        tables = (*self.mapping.wiped_tables(), *self.mapping.link_tables())
        place = (self.settings.postgres, self.mapping.schema_name, tables)
        known = activity.start(*place) if anew else self.run.load(Watched)
        self.run.forget(("activity",))

        def keep(seen: Watched) -> None:
            self.run.save(seen)

        with activity.noting(known, *place, keep, own_writes=own_writes):
            yield

    def propose(self) -> Proposal:
        """What approval is asked for; the end of the preflight.

        Raises:
            StopError: others have changed what the plan rests on: NO-GO.
        """
        load = self.run.load

        def work() -> Proposal:
            self._require_unchanged()
            return gate.propose(
                self.settings,
                self.mapping.digest,
                load(Snapshot),
                load(Survey),
                load(Plan),
                load(Rehearsal),
            )

        return self.step("proposal", work)

    def _require_unchanged(self) -> None:
        """Stop where ``activity`` has found that the plan is void."""
        seen = self.run.load(Activity) if self.run.has(Activity) else None
        if seen is not None and seen.changed:
            raise StopError(
                "Nexus was changed since the survey, so that the plan is void:"
                f" {wording.some(seen.changed)}",
                next=f"run the preflight of {self.settings.name} again, in a quieter hour",
            )

    def outlook(self) -> Outlook:
        """Beside the digest: what would still refuse its approval, and what was not proven."""
        rehearsed = self.run.load(Rehearsal)
        found = Outlook(
            refusals=self.refusals(),
            unproven=rehearsed.why_inside if rehearsed.ground is Ground.INSIDE else "",
            ending=tuple(self._ending()),
        )
        self.run.save(found)
        return found

    def refusals(self) -> tuple[Refusal, ...]:
        """What the gate would refuse an approval for, as things are now."""
        proposal = self.run.load(Proposal)
        try:
            forerunner = self._forerunner()
        except ReimportError as error:  # the gate would raise it, whatever else it finds
            return (Refusal(error.what, error.next),)
        return gate.refusals(self.settings, proposal, self.mapping.digest, forerunner)

    def _ending(self) -> Iterator[str]:
        """Waivers that are needed, and that end today: verification may come after midnight."""
        report = self.run.load(Report, "checks_before")
        needed = {r.check for r in report.results if r.offending and r.waived}
        for waiver in self.settings.waivers:
            ends_today = waiver.until == today(self.settings)
            if ends_today and needed.intersection(checks.twins(waiver.check)):
                yield f"{waiver.check}, until {waiver.until}"

    # -------------------------------------------------------------- 02_execute

    def drift(self) -> dict[str, str]:
        """What FileMaker changed since the snapshot, table by table; empty where nothing did."""
        read = self.run.load(Snapshot)
        changed = {}
        with self.run.stage("drift"), self._channels() as channels:
            for name, extract in read.extracts.items():
                said = self._drifted(extract, channels.of(name).source)
                if said:
                    changed[name] = said
        return changed

    def _drifted(self, extract: Extract, source: Source) -> str:
        """What was changed in one table since it was read; "" where nothing was."""
        origin = source.origin(extract.table)
        if origin and extract.origin and origin.sha256 != extract.origin.sha256:
            return "the file is another one"
        now = source.count(extract.table)
        if now != extract.rows:
            return f"{extract.rows:,} records then, {now:,} now"
        modified = self.mapping.sources[extract.source].modified
        found = next((f.found_as for f in extract.fields if f.name == modified), "")
        newest = source.newest(extract.table, found) if found else ""
        return "" if forms.stamp(newest) == extract.newest else "a record was edited"

    def approve(self, typed: str = "", *, rehearsed: bool = False) -> Approval:
        """Let the plan pass, if what was typed is its digest.

        Raises:
            StopError: it is not, or prod has no dev run before it. Nothing was written.
        """
        proposal = self.run.load(Proposal)
        return self.step(
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

        The maintenance window stays up from here to the sign-off, unless nothing was committed.
        """
        load = self.run.load
        order = self._order(load(Plan), load(Proposal), load(Approval))
        return self.execute(
            "applied",
            "apply",
            "02_execute",
            lambda: reimport.apply(
                self.settings.postgres,
                order,
                self._check_inside,
                commit=True,
                tell=self.run.journal,
                progress=self.bar("steps"),
            ),
        )

    def execute(self, name: str, stage: str, page: str, work: Callable[[], T]) -> T:
        """A step that commits, once: in the maintenance window, settled where it is in doubt.

        Raises:
            StopError: this run has been committed.
        """
        if self.run.is_committed():
            raise StopError(
                "this run has been committed already",
                state="committed by this run; nothing was written again",
                next=f"nexus-reimport finish {self.settings.name} verifies and seals it",
            )

        def in_window() -> T:
            require_ready(self.settings, self.mapping, self.task)  # a right may have been revoked
            with maintenance.held(self.settings, self.run, stays_up=self.run.is_committed):
                return self._settled_if_lost(work, page)

        return self.step(name, in_window, stage=stage)

    def _settled_if_lost(self, work: Callable[[], T], page: str) -> T:
        """``work``, and where its connection is lost at COMMIT, what the database says of it."""
        try:
            return work()
        except InDoubt as doubt:
            if not self._settled(doubt):
                raise StopError(
                    "the connection was lost at COMMIT, and the COMMIT did not happen",
                    state="the database is as it was",
                    next=f"look at the server's log, then run {page} again",
                ) from None
            raise StopError(
                "the connection was lost at COMMIT, but the COMMIT did happen",
                state="committed, not verified yet",
                next=f"nexus-reimport finish {self.settings.name} verifies and seals it",
            ) from None

    def _settled(self, doubt: InDoubt) -> bool:
        try:
            return self.settle()
        except (TargetError, StopError):
            doubt.next = f"nexus-reimport settle {self.settings.name} asks the database"
            raise doubt from None

    def settle(self) -> bool:
        """Ask the database whether this run was committed, and journal what it says.

        Raises:
            StopError: it is not this environment's own, and what it says would be about another.
        """
        require_own_database(self.settings, "not known yet")
        committed = reimport.settle(self.settings.postgres, self.run.id)
        self.run.journal(Event.SETTLED, committed=committed)
        return committed

    # -------------------------------------------------------------- 03_verify

    def verify(self) -> Report:
        """Every check after, on a fresh connection."""
        if self.run.verdict() not in (Verdict.COMMITTED_UNVERIFIED, Verdict.COMPLETE):
            raise StopError(
                "this run has committed nothing that could be verified",
                next="run 02_execute first",
            )
        state = "committed; nothing was written by this step"
        require_ready(self.settings, self.mapping, Task.FINISH, state)
        return self.step(
            "checks_after",
            self.reading(
                lambda: verify.run(
                    self.settings,
                    self.expected(),
                    lambda: census.take(self.settings.s3, self.folder, "census_after"),
                    today=today(self.settings),
                    progress=self.bar(Event.VERIFIED),
                )
            ),
        )

    def sign_off(self) -> Report:
        """The end of the run: journalled as verified if no check after blocks.

        Raises:
            StopError: one does; the data is committed, and a person must decide.
        """
        report = self.run.load(Report, "checks_after")
        with maintenance.left_on_error(self.settings):
            with self.run.stage("sign_off"):
                checks.require(
                    report, where="03_verify", state="committed, but not as it should be"
                )
            self.run.journal(Event.VERIFIED)
        maintenance.leave(self.settings)
        return report

    # -------------------------------------------------------------- sealing

    def seal(self) -> str:
        """Close the record; its digest goes into the database too. Gives the digest."""
        self.run.require_open()
        maintenance.leave(self.settings, self.run)  # while there is a journal to write it into
        digest = self.run.seal()
        if self.run.is_committed():
            anchor.write(self.settings, self.run)
        return digest

    def anchored(self) -> str:
        """The digest that the database holds for this run; "" where it holds none."""
        return anchor.read(self.settings, self.run)

    # -------------------------------------------------------------- parts

    def _begin_step(self, name: str) -> None:
        """A step that is run again makes void what was made from what it gave before."""
        order = ROLLBACK_ORDER if self.run.kind == "rollback" else ORDER
        if name not in order:
            return
        self._refuse_executed()
        kept = self.run.kept()
        void = [later for later in order[order.index(name) + 1 :] if later in kept]
        if void:
            self.run.journal(Event.VOID, of=void, by=name)
            self.run.forget(void)

    def _refuse_executed(self) -> None:
        if journal.was_executed(self.run.events()):
            raise StopError(
                "this run has been executed; its preflight is not changed any more",
                state="nothing was written; plan, backup and approval are as they were",
                next="finish this run with 03_verify; for another one begin a new run",
            )

    def reading(self, work: Callable[[], T]) -> Callable[[], T]:
        """``work``, tried again where others wait for what it reads; it has let go by then."""
        return lambda: waiters.tried_again(self.settings.postgres, work, self.run.journal)

    def step(self, name: str, work: Callable[[], T], stage: str = "") -> T:
        """One step: what it gives is journalled, kept and returned."""
        self._begin_step(name)
        rights = naming_rights(self.settings, self.mapping, self.task)
        with self.run.stage(stage or name), rights:
            value = work()
            self.run.save(value, name)
        return value

    def _channels(self) -> Channels:
        return Channels(self.settings.filemaker, self.mapping)

    def _order(
        self, made: Plan, proposal: Proposal | None = None, approval: Approval | None = None
    ) -> reimport.ApplyRequest:
        return reimport.ApplyRequest(
            self.run.id, self.settings.name, self.intake(), made, proposal, approval
        )

    def intake(self) -> Intake:
        """What this run has read."""
        read, seen = self.run.load(Snapshot), self.run.load(Survey)
        return Intake(self.mapping, read, seen, self.folder)

    def expected(self) -> Expected:
        """What verification compares Nexus with."""
        planned, counted = self.run.load(Plan), self.run.load(Census)
        return Expected(self.intake(), planned, counted)

    def _before(self) -> before.Before:
        load, earlier = self.run.load, self._earlier()
        return before.Before(
            intake=self.intake(),
            settings=self.settings,
            census=load(Census),
            backup=load(Backup, "backup"),
            plan=load(Plan),
            earlier=earlier.load(Snapshot) if earlier else None,
            earlier_run=f"{earlier.environment} {earlier.id}" if earlier else "",
        )

    def _earlier(self) -> Run | None:
        """The record before this one: of this environment, else of the one that runs before it."""
        found = last_complete(self.settings, {Scope.REIMPORT})
        if found is None and self.settings.dev_environment:
            found = last_complete(
                environments.load(self.settings.dev_environment), {Scope.REIMPORT}
            )
        return found

    def _check(self, subject: object, name: str) -> Report:
        return checks.run(
            subject,
            self.settings.waivers,
            today=today(self.settings),
            name=name,
            only_links=self.scope is Scope.RELINK,
        )

    def _check_inside(self, subject: Inside) -> Report:
        """The checks inside the transaction; none is waived."""
        report = checks.run(
            subject,
            today=today(self.settings),
            name="inside",
            only_links=self.scope is Scope.RELINK,
        )
        self.run.save(report, "checks_inside")
        return report

    def check_undoing(self, subject: Undoing) -> Report:
        """The checks inside a rollback's transaction; none is waived."""
        only_links = not subject.undo.tables
        return checks.run(
            subject, today=today(self.settings), name="undoing", only_links=only_links
        )

    def _forerunner(self) -> gate.DevRun | None:
        if not self.settings.dev_environment:
            return None
        dev = environments.load(self.settings.dev_environment)
        here, there = self.settings.postgres, dev.postgres
        other_database = (here.host, here.port, here.database) != (
            there.host,
            there.port,
            there.database,
        )
        if dev.kind is not Kind.DEV or dev.sandbox != self.settings.sandbox or not other_database:
            raise StopError(
                f"{dev.name} cannot stand for dev: it must be of kind dev, another database, and"
                " a sandbox only for a sandbox",
                next="name the right one: dev_environment in the environment's file",
            )
        last = last_complete(dev, {Scope.REIMPORT, self.scope})
        if last is None:
            return None
        if anchor.read(dev, last) != last.seal_digest():
            raise StopError(
                f"the record {last.id} of {dev.name} is not the one that its database knows",
                next=f"run `nexus-reimport run {dev.name}` again",
            )
        proposal = last.load(Proposal)
        before, now = (schema.structure(run.load(Survey).schema) for run in (last, self.run))
        return gate.DevRun(
            last.id,
            proposal.code,
            proposal.mapping,
            schema.differences(before, now),
        )
