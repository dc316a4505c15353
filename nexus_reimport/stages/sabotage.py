"""Puts every kind of corruption into a copy, one at a time, and asks whether verification finds it.

    restore the dump into a scratch database of our own, survey it, apply the plan there
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import sql

from nexus_reimport.errors import StopError
from nexus_reimport.files import private, rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import (
    Applied,
    Backup,
    Census,
    EntityPlan,
    Level,
    LinkPlan,
    Plan,
    Report,
    Result,
    SelfTest,
    Survey,
    Trial,
)
from nexus_reimport.nexus import registry, scratch
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.postgres import Connection, connected, copy_out, names
from nexus_reimport.nexus.scratch import Scratch
from nexus_reimport.saboteur import Kind, Objects, Scene
from nexus_reimport.settings import Postgres

FOLDER = "self_test"
# What PostgreSQL itself keeps out: rows, rights that a copy does not give, what depends on others.
REFUSED = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.FeatureNotSupported,
)
STATE = "the real database was only read; the copy has been dropped"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What one verification looks at: a transaction on the copy, and what it compares with."""

    connection: Connection
    intake: Intake
    plan: Plan
    census: Census
    census_now: Census


@dataclass(frozen=True, slots=True)
class Acts:
    """What is done with the copy: the stages' own functions."""

    restore: Callable[[Postgres], object]
    survey: Callable[[Postgres, Path], Survey]
    apply: Callable[[Scratch, Intake], Applied]
    verify: Callable[[Subject], Report]


@dataclass(frozen=True, slots=True)
class Given:
    """A run whose plan is there: its dump, what it has read, what it has planned."""

    environment: str
    run: str
    server: Postgres
    register: Path
    backup: Backup
    intake: Intake
    plan: Plan
    census: Census


def run(
    given: Given, kinds: Sequence[Kind], acts: Acts, progress: Progress | None = None
) -> SelfTest:
    """The table of ``kinds`` against the verification.

    Raises:
        StopError: the copy does not pass verification as it is, so that nothing could be told.
        TargetError: no copy could be made, or the server went away. The real database was only
            read.
    """
    began, trials = time.monotonic(), []
    with (
        _folder(given.intake.folder) as folder,
        scratch.made(given.server, given.backup.shape, given.register) as copy,
    ):
        acts.restore(copy.place)
        surveyed = acts.survey(copy.place, folder)
        intake = replace(given.intake, survey=surveyed, folder=folder)
        acts.apply(copy, intake)
        with connected(copy.place) as connection:
            bench = _Bench(connection, given, intake, acts)
            for number, kind in enumerate(kinds, 1):
                trials.append(bench.trial(kind))
                if progress:
                    progress(number, len(kinds))
            bench.require_clean()
    return SelfTest(
        environment=given.environment,
        run=given.run,
        checks=bench.checks,
        trials=tuple(trials),
        seconds=time.monotonic() - began,
    )


@contextmanager
def _folder(run: Path) -> Iterator[Path]:
    """A private folder with the run's row files in it, removed at the end.

    They are links: whoever writes a row file removes the one that was there first.
    """
    folder = run / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    private.new_folder(folder)
    try:
        for file in run.glob("*.parquet"):
            (folder / file.name).hardlink_to(file)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Bench:
    """The copy as the run has left it, and the verification of it."""

    def __init__(self, connection: Connection, given: Given, intake: Intake, acts: Acts) -> None:
        self._connection, self._given, self._intake, self._acts = connection, given, intake, acts
        self._mapping: FieldMapping = intake.mapping
        committed = registry.runs(connection)
        if not committed or committed[0].undo is None:
            raise StopError("the copy does not know the run that was applied to it", state=STATE)
        self._undo = committed[0].undo
        self._objects = list(rowfile.read_dicts(intake.folder, given.census.file))
        report = self._verified_as_it_is()
        self._was = {r.check: r for r in report.results}
        self.checks = tuple(self._was)
        self._require_sound(report)

    def _verified_as_it_is(self) -> Report:
        with self._transaction():
            census = self._given.census
            return self._acts.verify(self._subject(self._given.plan, census, census))

    def require_clean(self) -> None:
        """Stop where a kind has left something behind: what came after it was not one kind alone.

        Raises:
            StopError: verification finds on the copy now what it did not find at first.
        """
        worse = [r.check for r in self._verified_as_it_is().results if self._is_worse(r)]
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
                "the copy does not pass verification as it is: "
                + ", ".join(r.check for r in report.blocking),
                state=STATE,
                next="look at the rehearsal's own report; nothing can be told before it passes",
            )

    def trial(self, kind: Kind) -> Trial:
        """What verification makes of one kind."""
        found = Trial(kind.name, kind.meaning, kind.corrupts, 0)
        afterwards: list[Callable[[], object]] = []
        try:
            with self._transaction():
                scene = self._scene(afterwards)
                try:
                    with self._connection.transaction():
                        changed = kind.corrupt(scene)
                except REFUSED as error:
                    return replace(found, refused=error.sqlstate or "")
                return self._judged(replace(found, changed=changed), kind, scene)
        finally:
            for put_back in afterwards:
                put_back()

    def _judged(self, trial: Trial, kind: Kind, scene: Scene) -> Trial:
        if not trial.was_possible:
            return trial
        try:
            report = self._acts.verify(self._corrupted(scene))
        except Exception as error:
            return replace(trial, crashed=type(error).__name__)
        worse = [r for r in report.results if self._is_worse(r)]
        found = [r for r in worse if r.level is Level.STOP or kind.level is Level.REVIEW]
        return replace(
            trial,
            caught_by=tuple(r.check for r in found),
            noted_by=tuple(r.check for r in worse if r not in found),
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
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def _scene(self, afterwards: list[Callable[[], object]]) -> Scene:
        return Scene(
            database=Database.read(self._connection, self._mapping),
            survey=self._intake.survey,
            plan=self._given.plan,
            undo=self._undo,
            objects=[dict(one) for one in self._objects],
            afterwards=afterwards,
        )

    def _subject(self, plan: Plan, census: Census, now: Census) -> Subject:
        return Subject(self._connection, self._intake, plan, census, now)

    def _corrupted(self, scene: Scene) -> Subject:
        given = self._given
        plan = replace(
            given.plan,
            entities={n: self._followed(scene, n, e) for n, e in given.plan.entities.items()},
            links={n: self._followed_links(scene, n, e) for n, e in given.plan.links.items()},
        )
        now = given.census
        if scene.objects != self._objects:
            now = self._listed(scene.objects, "census_corrupted")
        return self._subject(plan, given.census, now)

    def _listed(self, objects: Objects, name: str) -> Census:
        was = self._given.census
        columns = was.file.columns
        ordered = sorted(objects, key=lambda one: one["key"] or "")
        file = rowfile.write(
            self._intake.folder / f"{name}.parquet",
            columns,
            (tuple(one[c] for c in columns) for one in ordered),
        )
        stored = sum(int(one["size"] or 0) for one in objects)
        return replace(was, objects=len(objects), bytes_stored=stored, file=file)

    def _followed(self, scene: Scene, name: str, plan: EntityPlan) -> EntityPlan:
        """The plan of an entity; as the rows are now, where the kind says that it follows them."""
        if name not in scene.follows:
            return plan
        file = self._dumped(scene, plan.table, plan.file.columns, f"followed_{name}")
        return replace(plan, file=file, kept=plan.kept + file.rows - plan.file.rows)

    def _followed_links(self, scene: Scene, name: str, plan: LinkPlan) -> LinkPlan:
        if name not in scene.links_follow:
            return plan
        spec = self._mapping.attachments[name]
        link, key = spec.link, scene.database.key(spec.link_table)
        columns = (key, link.object, *([link.content_type] if link.content_type else []))
        file = self._dumped(scene, spec.link_table, columns, f"followed_{name}")
        return replace(plan, file=file)

    def _dumped(self, scene: Scene, table: str, columns: Sequence[str], name: str) -> RowFile:
        query = sql.SQL("SELECT {} FROM {} ORDER BY {}::text").format(
            names(columns), scene.place(table), sql.Identifier(scene.database.key(table))
        )
        path = self._intake.folder / f"{name}.parquet"
        return copy_out(self._connection, query, path, columns)
