"""What verification compares a corrupted copy with, where a kind says that the plan wanted it so.

Some corruptions are only one if the rest agrees with them: a patient without a clinic is found by
the plan's own comparison unless the plan has none either. For such a kind the plan, or what was
read before the run, is written anew as the kind has left the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.intake import Intake
from nexus_reimport.model import EntityPlan, LinkPlan, Outcome, Plan
from nexus_reimport.nexus.connection.copying import copy_out_in_order
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.saboteur.scene import Objects, Scene


@dataclass(frozen=True, slots=True)
class Following:
    """The copy, what was read of it before the run, and the plan that was applied to it."""

    connection: Connection
    intake: Intake
    plan: Plan

    def plan_of(self, scene: Scene) -> Plan:
        """The plan; as if it had wanted what the kind has done, where the kind says so."""
        if not (scene.follows or scene.links_follow or scene.forgotten):
            return self.plan
        return replace(
            self.plan,
            entities={n: self._followed(scene, n, e) for n, e in self.plan.entities.items()},
            links={n: self._followed_links(scene, n, e) for n, e in self.plan.links.items()},
            ledger=self._ledger(scene),
        )

    def intake_of(self, scene: Scene) -> Intake:
        """What was read before the run, without what the kind says was not there then either."""
        if not scene.never_had:
            return self.intake
        survey, folder = self.intake.survey, self.intake.folder
        rows = dict(survey.rows)
        for entity, without in scene.never_had.items():
            key, file = survey.keys[entity], survey.rows[entity]
            path = folder / f"followed_before_{entity}.parquet"
            rows[entity] = rowfile.write(
                path,
                file.columns,
                (
                    tuple(None if c in without.get(row[key] or "", ()) else row[c] for c in row)
                    for row in self.intake.rows(entity)
                ),
            )
        return replace(self.intake, survey=replace(survey, rows=rows))

    def written(self, objects: Objects, like: RowFile, when: str) -> RowFile:
        """Objects as a row file of their own, in the order of their keys."""
        ordered = sorted(objects, key=lambda one: one["key"] or "")
        rows = (tuple(one[c] for c in like.columns) for one in ordered)
        path = self.intake.folder / f"corrupted_{when}_{like.name}"
        return rowfile.write(path, like.columns, rows)

    def _ledger(self, scene: Scene) -> RowFile:
        """The ledger; with the rows that the kind says were taken for Nexus's alone."""
        file, folder = self.plan.ledger, self.intake.folder
        if not scene.forgotten:
            return file
        lines = (
            (source, entity, Outcome.KEPT, "no_filemaker_id", None, nexus_id)
            if entity and nexus_id and scene.forgotten.get(entity) == nexus_id
            else (source, entity, outcome, why, filemaker_id, nexus_id)
            for source, entity, outcome, why, filemaker_id, nexus_id in rowfile.read(folder, file)
        )
        return rowfile.write(folder / "followed_ledger.parquet", file.columns, lines)

    def _followed(self, scene: Scene, name: str, plan: EntityPlan) -> EntityPlan:
        """The plan of an entity; as the rows are now, where the kind says that it follows them."""
        if name not in scene.follows:
            return plan
        file = self._dumped(scene, plan.table, plan.file.columns, f"followed_{name}")
        return replace(plan, file=file, kept=plan.kept + file.rows - plan.file.rows)

    def _followed_links(self, scene: Scene, name: str, plan: LinkPlan) -> LinkPlan:
        """The links that a plan fixes, and those with them that the kind has moved."""
        moved = scene.links_follow.get(name)
        if not moved:
            return plan
        planned = list(rowfile.read(self.intake.folder, plan.file))
        path = self.intake.folder / f"followed_{name}.parquet"
        return replace(plan, file=rowfile.write(path, plan.file.columns, [*planned, *moved]))

    def _dumped(self, scene: Scene, table: str, columns: Sequence[str], name: str) -> RowFile:
        key, path = scene.database.key(table), self.intake.folder / f"{name}.parquet"
        return copy_out_in_order(self.connection, scene.place(table), columns, key, path)
