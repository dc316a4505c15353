"""Puts every kind of corruption into a copy, one at a time, and asks whether verification finds it.

    restore the dump into a scratch database of our own; of a large clinic keep a part
    survey it, plan it if it is a part, apply the plan there
    verify it: nothing may fail that does not fail for good reason
    for each kind: BEGIN; corrupt; the very same verification, in that transaction; ROLLBACK

Deferred constraints are not checked before a COMMIT that never comes, so that rows can dangle. What
a rollback does not undo (a sequence) is put back by hand. Files in the bucket are corrupted in a
copy of its list. The copy is dropped at the end, whatever happened.

What verification is to compare with is surveyed on the copy: owners, grants and policies of a copy
are others than the original's, and must be compared all the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from nexus_reimport import naming, progress, wording
from nexus_reimport.checks import bucket
from nexus_reimport.checks.memo import Memo
from nexus_reimport.errors import StopError
from nexus_reimport.files import columns, private, rowfile
from nexus_reimport.intake import Intake
from nexus_reimport.model import (
    Applied,
    Backup,
    Census,
    Level,
    Outcome,
    Plan,
    Report,
    Result,
    Sample,
    SelfTest,
    Survey,
    Trial,
)
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection import scratch
from nexus_reimport.nexus.connection.postgres import Connection, connected, roll_back
from nexus_reimport.nexus.connection.scratch import Scratch
from nexus_reimport.nexus.reading.kept_readings import KeptReadings
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.saboteur import Kind, Objects, Scene
from nexus_reimport.saboteur.following import Following
from nexus_reimport.saboteur.smaller import Smaller
from nexus_reimport.settings import Postgres

FOLDER = "self_test"
FIRST = "first"  # in it: what was read when nothing was corrupted
STATE = "the real database was only read; the copy has been dropped"
# With all 2,842 patients it takes eleven minutes, with so many less than two.
PATIENTS = 250


@dataclass(frozen=True, slots=True)
class Subject:
    """What one verification looks at: a transaction on the copy, and what it compares with."""

    connection: Connection
    intake: Intake
    plan: Plan
    after: Mapping[str, Fingerprint]  # as the run has left its tables
    listed_before: Census  # what S3 listed before the run
    census: Census  # what S3 lists now
    sample: Sample  # what S3 gives now of the objects that are read in full
    kept: KeptReadings | None  # what was read of the copy when nothing was changed
    memo: Memo | None  # what the checks found of it
    # Check -> how much is waived because it is so: a waiver's rest is not.
    needed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Acts:
    """What is done with the copy: the stages' own functions."""

    restore: Callable[[Postgres], object]
    survey: Callable[[Postgres, Path], Survey]
    plan: Callable[[Intake], Plan]
    apply: Callable[[Scratch, Intake, Plan], Applied]
    verify: Callable[[Subject], Report]


@dataclass(frozen=True, slots=True)
class Given:
    """A run whose plan is there: its dump, what it has read, what it has planned.

    ``spared``: what cannot be other than before is neither read nor asked again for each kind.
    ``patients``: of a larger clinic so many are kept, with all that hangs on them.
    """

    environment: str
    run: str
    server: Postgres
    register: Path
    backup: Backup
    intake: Intake
    plan: Plan
    census: Census
    sample: Sample
    spared: bool = True
    patients: int = PATIENTS


def run(given: Given, kinds: Sequence[Kind], acts: Acts) -> SelfTest:
    """The table of ``kinds`` against the verification.

    Raises:
        StopError: the copy does not pass verification as it is, so that nothing could be told.
        TargetError: no copy could be made, or the server went away. The real database was only
            read.
    """
    began, trials, steps = time.monotonic(), [], progress.Steps(len(kinds))
    with (
        _folder(given.intake.folder) as folder,
        scratch.created(given.server, given.backup.shape, given.register) as copy,
    ):
        with steps.step("restore a copy", is_counted=False):
            acts.restore(copy.place)
            given, part = _on_copy(given, copy, folder, acts)
        with steps.step("apply the plan to it", is_counted=False):
            applied = acts.apply(copy, given.intake, given.plan)
        with connected(copy.place) as connection:
            with steps.step("verify it as it is", is_counted=False):
                bench = _Bench(connection, given, acts, applied.after)
            for kind in kinds:
                with steps.step(naming.words(kind.name)):
                    trials.append(bench.trial(kind))
            with steps.step("verify it again", is_counted=False):
                bench.require_clean()
    return SelfTest(
        environment=given.environment,
        run=given.run,
        checks=bench.checks,
        trials=tuple(trials),
        seconds=time.monotonic() - began,
        part=part,
    )


def _on_copy(given: Given, copy: Scratch, folder: Path, acts: Acts) -> tuple[Given, str]:
    """What is there of the copy itself; and which part of the clinic, "" where it is whole."""
    part, snapshot, plan, census = "", given.intake.snapshot, given.plan, given.census
    with connected(copy.place) as connection:
        database = Database.read(connection, given.intake.mapping)
        inside = replace(given.intake, folder=folder)
        smaller = Smaller(inside, plan, database, given.patients)
        if smaller.is_needed:
            with suppress(psycopg.IntegrityError):  # the whole clinic, then
                smaller.shrink()
                part, snapshot = smaller.share(), smaller.snapshot()
    surveyed = acts.survey(copy.place, folder)
    intake = replace(given.intake, snapshot=snapshot, survey=surveyed, folder=folder)
    if part:
        plan, census = acts.plan(intake), _listed_of(intake, given, smaller)
    return replace(given, intake=intake, plan=plan, census=census), part


def _keys_of(
    intake: Intake, plan: Plan, names: Iterable[str], outcome: Outcome
) -> dict[str, frozenset[str]]:
    """Of each of these entities or attachments the keys of what had this outcome."""
    ledger = columns.read(intake.folder, plan.ledger, ("entity", "nexus_id"), outcome={outcome})
    return {
        name: frozenset(columns.texts(columns.where(ledger, entity={name})["nexus_id"]))
        for name in names
    }


def _listed_of(intake: Intake, given: Given, smaller: Smaller) -> Census:
    """The objects that the rows name which stay, those that are read in full, a part of others."""
    census = given.census
    read = {row[0] for row in rowfile.read(intake.folder, given.sample.file)}
    wanted = {*read, *columns.texts(bucket.named(intake, census))}
    rows = [
        row
        for row in rowfile.read(intake.folder, census.file)
        if row[0] in wanted or smaller.is_chosen(row[0] or "")
    ]
    file = rowfile.write(intake.folder / f"part_{census.file.name}", census.file.columns, rows)
    return replace(census, objects=file.rows, file=file)


@contextmanager
def _folder(run: Path) -> Iterator[Path]:
    """A private folder with the run's row files in it, removed at the end.

    They are links: whoever writes a row file removes the one that was there first.
    """
    folder = run / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _link(run, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _link(folder: Path, to: Path) -> None:
    """The row files of one folder in a new one as well."""
    private.new_folder(to)
    for file in folder.glob("*.parquet"):
        private.link(to / file.name, file)


class _Bench:
    """The copy as the run has left it, and the verification of it."""

    def __init__(
        self,
        connection: Connection,
        given: Given,
        acts: Acts,
        after: Mapping[str, Fingerprint],
    ) -> None:
        intake = given.intake
        self._connection, self._given, self._intake, self._acts = connection, given, intake, acts
        self._after = after
        self._kept, self._memo = KeptReadings(connection), Memo()
        self._needed: Mapping[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._database = Database.read(connection, intake.mapping)
        self._following = Following(connection, intake, given.plan)
        committed = registry.runs(connection)
        if not committed or committed[0].undo is None:
            raise StopError(
                "the copy does not know the run that was applied to it",
                where="the table of runs on the copy of the self-test",
                state=STATE,
                next="look for triggers and rules in the schema nexus_reimport, then run"
                " 01_preflight again",
            )
        self._undo = committed[0].undo
        self._objects: Objects = tuple(rowfile.read_dicts(intake.folder, given.census.file))
        self._sample: Objects = tuple(rowfile.read_dicts(intake.folder, given.sample.file))
        mapping = intake.mapping
        self._placed = _keys_of(intake, given.plan, mapping.attachments, Outcome.LINKED)
        self._kept_rows = _keys_of(intake, given.plan, mapping.entities, Outcome.KEPT)
        report = self._verified_as_it_is()
        _link(intake.folder, intake.folder / FIRST)
        self._needed = {r.check: r.offending for r in report.results}
        self._was = {r.check: r for r in report.results}
        self.checks = tuple(self._was)
        self._require_sound(report)
        with self._transaction():
            scene = self._scene([])
            for table in (*scene.wiped, *scene.protected):
                scene.count(table)  # before any kind changes it

    def _verified_as_it_is(self) -> Report:
        with self._transaction():
            return self._acts.verify(self._as_it_is())

    def _as_it_is(self) -> Subject:
        """The copy when nothing was corrupted."""
        given = self._given
        return Subject(
            connection=self._connection,
            intake=self._intake,
            plan=given.plan,
            after=self._after,
            listed_before=given.census,
            census=given.census,
            sample=given.sample,
            kept=self._kept if self._given.spared else None,
            memo=self._memo if self._given.spared else None,
            needed=self._needed,
        )

    def require_clean(self) -> None:
        """Stop where a kind has left something behind: what came after it was not one kind alone.

        Everything is read and asked again.

        Raises:
            StopError: verification finds on the copy now what it did not find at first.
        """
        with self._transaction():
            report = self._acts.verify(replace(self._as_it_is(), kept=None, memo=None))
        worse = [r.check for r in report.results if self._is_worse(r)]
        if worse:
            raise StopError(
                f"a kind of corruption was not undone on the copy: {', '.join(worse)}",
                state=STATE,
                next="report it with this record: the table cannot be relied on",
            )

    @staticmethod
    def _require_sound(report: Report) -> None:
        if not report.passed:
            raise StopError(
                "the copy does not pass verification as it is\n"
                + wording.lines([f"{r.check}: {r.listed}" for r in report.blocking]),
                state=STATE,
                next="read the rehearsal's report first: the self-test needs a copy that passes",
            )

    def trial(self, kind: Kind) -> Trial:
        """What verification makes of one kind."""
        trial = Trial(kind.name, kind.meaning, kind.corrupts, 0)
        afterwards: list[Callable[[], object]] = []
        try:
            with self._transaction():
                scene = self._scene(afterwards)
                try:
                    with self._connection.transaction():
                        changed = kind.corrupt(scene)
                except psycopg.Error as error:
                    # Without an SQLSTATE the connection is gone: no kind can be tried any more.
                    if not error.sqlstate:
                        raise
                    return replace(trial, refused=error.sqlstate)
                return self._judged(replace(trial, changed=changed), kind, scene)
        finally:
            for put_back in afterwards:
                put_back()

    def _judged(self, trial: Trial, kind: Kind, scene: Scene) -> Trial:
        if not trial.was_possible:
            return trial
        try:
            report = self._acts.verify(self._corrupted(scene))
        # The other kinds are still tried; a crash counts as a corruption that was not found.
        except Exception as error:
            return replace(trial, crashed=type(error).__name__)
        worse = [r for r in report.results if self._is_worse(r)]
        failing = [r for r in worse if r.level is Level.STOP or kind.level is Level.REVIEW]
        return replace(
            trial,
            caught_by=tuple(r.check for r in failing),
            noted_by=tuple(r.check for r in worse if r not in failing),
        )

    def _is_worse(self, result: Result) -> bool:
        """Whether a check fails that did not, or fails for more than it did."""
        was = self._was.get(result.check)
        if was is None or was.passed:
            return not result.passed
        return result.offending > was.offending

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self._connection.execute("SET CONSTRAINTS ALL DEFERRED")
        self._kept.begin()
        try:
            yield
        finally:
            roll_back(self._connection)
            self._put_back()

    def _put_back(self) -> None:
        """What was read first lies there again: what is read later is written over it."""
        folder, first = self._intake.folder, self._intake.folder / FIRST
        for file in first.glob("*.parquet"):
            later = folder / file.name
            if not (later.exists() and later.samefile(file)):
                later.unlink(missing_ok=True)
                private.link(later, file)

    def _scene(self, afterwards: list[Callable[[], object]]) -> Scene:
        return Scene(
            database=self._database,
            survey=self._intake.survey,
            plan=self._given.plan,
            undo=self._undo,
            objects=self._objects,
            sizes=self._sizes,
            listed_before=self._objects,
            sample=self._sample,
            placed=self._placed,
            kept=self._kept_rows,
            afterwards=afterwards,
        )

    def _corrupted(self, scene: Scene) -> Subject:
        """The copy as the kind has left it, and what the kind says that it is compared with."""
        given, follow = self._given, self._following
        sample = given.sample
        if scene.sample is not self._sample:
            sample = replace(sample, file=follow.written(scene.sample, sample.file, "now"))
        return replace(
            self._as_it_is(),
            intake=follow.intake_of(scene),
            plan=follow.plan_of(scene),
            listed_before=self._listed(scene.listed_before, "before"),
            census=self._listed(scene.objects, "now"),
            sample=sample,
        )

    def _listed(self, objects: Objects, when: str) -> Census:
        """The census of ``objects``; the one that was taken, where they are its own."""
        census = self._given.census
        if objects is self._objects:
            return census
        file = self._following.written(objects, census.file, when)
        stored = sum(int(one["size"] or 0) for one in objects)
        return replace(census, objects=file.rows, bytes_stored=stored, file=file)
