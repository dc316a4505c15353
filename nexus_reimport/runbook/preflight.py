"""What 01_preflight calls: read, back up, decide, check, rehearse, propose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import checks, saboteur, wording
from nexus_reimport import settings as environments
from nexus_reimport.checks import before, bucket, rehearsed
from nexus_reimport.checks.after import Claim
from nexus_reimport.errors import StopError
from nexus_reimport.intake import Intake
from nexus_reimport.model import (
    Applied,
    Backup,
    Census,
    Ground,
    NewerDecision,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    Sample,
    Scope,
    SelfTest,
    Snapshot,
    Survey,
    Undone,
)
from nexus_reimport.nexus import activity, waiters
from nexus_reimport.nexus.activity import Activity, Watched
from nexus_reimport.nexus.fingerprint import Fingerprint
from nexus_reimport.nexus.postgres import connected, exported_snapshot
from nexus_reimport.nexus.scratch import Scratch
from nexus_reimport.nexus.tables import Role
from nexus_reimport.nexus.transaction import ROLLED_BACK
from nexus_reimport.planning import listings, manual, plan
from nexus_reimport.record import Run
from nexus_reimport.runbook.opening import (
    last_complete,
    naming_rights,
    today,
)
from nexus_reimport.runbook.steps import Steps
from nexus_reimport.settings import EnvironmentKind, Postgres
from nexus_reimport.stages import (
    apply,
    approval,
    backup,
    census,
    rehearsal,
    sabotage,
    sample,
    snapshot,
    survey,
    undo,
    verify,
)
from nexus_reimport.stages.verify import Expected, Storage


class Preflight(Steps):
    """A run up to its proposal: nothing of the clinic's data is changed."""

    __slots__ = ()

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
                } | seen.elsewhere
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
        """Decide everything; the instant of the plan is that of the survey.

        The plan decides which of S3's files are read in full; they are, at once.
        """
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

        made = self.step("plan", work)
        self.step("sample", self._sample)
        return made

    def check_before(self) -> Report:
        """Every check before; look at the report, then ask ``rehearse`` to go on."""
        return self.step("checks_before", lambda: self._check(self._before(), "before"))

    def _sample(self) -> Sample:
        """S3's objects that verification reads again."""
        place, counted, intake = self.settings.s3, self.run.load(Census), self.intake()
        named, seed = bucket.named(intake, counted), self.run.load(Plan).digest
        chosen = sample.choose(counted, self.folder, named, seed, place.sample)
        return sample.take(place, chosen, self.folder, progress=self.bar("objects read"))

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
                    journal=self.run.journal,
                    progress=self.bar("rehearsal"),
                )

        return self.step("rehearsal", work)

    def _acts(self, made: Plan, saved: Backup) -> rehearsal.Acts:
        """What is rehearsed on a copy, under names of runs that exist there alone."""
        name = f"{self.run.id}-rehearsal"

        def verified(copy: Scratch, done: Applied) -> Report:
            counted, read = self.run.load(Census), self.run.load(Sample)
            claim = Claim(f"{name}-1", self.settings.name, "", "", done.after)
            return verify.run(
                self.settings,
                Expected(self.intake(), made, counted, read, claim),
                Storage.untouched(counted, read),
                today=today(self.settings),
                copy=verify.Copy(copy.place),
            )

        def undone(copy: Scratch, number: int) -> Undone:
            order = undo.RollbackRequest(
                f"{name}-undo-{number}",
                self.settings.name,
                f"{name}-{number}",
                NewerDecision.UNDECIDED,
                scratch=copy,
            )
            return undo.run(copy.place, self.mapping, order, self.check_undoing)

        def applied(copy: Scratch, number: int) -> Applied:
            order = replace(self._order(made), run=f"{name}-{number}", scratch=copy)
            with self._explained(copy.place, made, rehearsal.COPY_DROPPED):
                return apply.apply(copy.place, order, self._check_inside, commit=True)

        return rehearsal.Acts(
            restore=lambda place: backup.restore(saved, self.folder, place, to_look_at=True),
            apply=applied,
            verify=verified,
            undo=undone,
            left_out=backup.left_out(saved),
        )

    def self_test(self) -> SelfTest:
        """Every kind of corruption, one at a time, against the verification, on another copy.

        On prod it is the table of the dev run that prod relies on.

        Raises:
            StopError: verification does not pass on the copy as it is. Nothing was written.
        """
        is_prod = self.settings.kind is EnvironmentKind.PROD
        return self.step("self_test", self._tested_on_dev if is_prod else self.sabotaged)

    def sabotaged(self) -> SelfTest:
        """The same, whatever the environment's kind; it is not kept in the record."""
        saved = self.run.load(Backup, "backup")
        given = sabotage.Given(
            environment=self.settings.name,
            run=self.run.id,
            server=self.settings.rehearsal_server,
            register=self.settings.scratch_register,
            backup=saved,
            intake=self.intake(),
            plan=self.run.load(Plan),
            census=self.run.load(Census),
        )
        if why := rehearsal.why_not(given.server, saved):
            return SelfTest(self.settings.name, self.run.id, (), (), 0.0, why)
        kinds = saboteur.of_scope(only_links=self.scope is Scope.RELINK)
        return sabotage.run(given, kinds, self._test_acts(given), self.bar("kinds of corruption"))

    def _tested_on_dev(self) -> SelfTest:
        """What the dev run found that this one relies on."""
        tested = self._dev_run()
        if tested is not None and tested.has(SelfTest):
            return tested.load(SelfTest)
        why = f"{self.settings.dev_environment} has no run with a self-test"
        return SelfTest(self.settings.dev_environment, "", (), (), 0.0, why)

    def _test_acts(self, given: sabotage.Given) -> sabotage.Acts:
        def surveyed(place: Postgres, folder: Path) -> Survey:
            with connected(place) as connection, exported_snapshot(connection):
                return survey.read(connection, self.mapping, folder, self.task)

        name, left = f"{self.run.id}-self-test", dict[str, Fingerprint]()

        def applied(copy: Scratch, intake: Intake) -> Applied:
            order = apply.ApplyRequest(name, self.settings.name, intake, given.plan, scratch=copy)
            done = apply.apply(copy.place, order, self._checked_inside, commit=True)
            left.update(done.after)
            return done

        def verified(subject: sabotage.Subject) -> Report:
            read = self.run.load(Sample)
            claim = Claim(name, self.settings.name, "", "", left)
            return verify.run(
                self.settings,
                Expected(subject.intake, subject.plan, subject.census, read, claim),
                Storage(lambda: subject.census_now, lambda: read),
                today=today(self.settings),
                copy=verify.Copy(given.server, subject.connection, is_surveyed=True),
            )

        return sabotage.Acts(
            restore=lambda place: backup.restore(given.backup, self.folder, place, to_look_at=True),
            survey=surveyed,
            apply=applied,
            verify=verified,
        )

    def _rehearse_inside(self, made: Plan, why: str) -> Rehearsal:
        began = datetime.now(UTC)
        with self._explained(self.settings.postgres, made, ROLLED_BACK):
            applied = apply.apply(
                self.settings.postgres,
                self._order(made),
                self._check_inside,
                commit=False,
                progress=self.bar("dry run"),
            )
        return rehearsal.inside(applied, why, (datetime.now(UTC) - began).total_seconds())

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
                lambda: activity.result(watched, self.settings.postgres, self.mapping, before)
            ),
        )

    def propose(self) -> Proposal:
        """What approval is asked for; the end of the preflight.

        Raises:
            StopError: others have changed what the plan rests on: NO-GO.
        """
        load = self.run.load

        def work() -> Proposal:
            self._require_unchanged()
            return approval.propose(
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

    def _ending(self) -> Iterator[str]:
        """Waivers that are needed, and that end today: verification may come after midnight."""
        report = self.run.load(Report, "checks_before")
        needed = {r.check for r in report.results if r.offending and r.waived}
        for waiver in self.settings.waivers:
            ends_today = waiver.until == today(self.settings)
            if ends_today and needed.intersection(checks.twins(waiver.check)):
                yield f"{waiver.check}, until {waiver.until}"
