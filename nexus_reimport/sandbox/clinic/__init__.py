"""A made-up clinic of the real size, from one seed: its FileMaker file, its Nexus, its files.

    clinic = generate(scale=0.02)
    filemaker_file.save(clinic.filemaker, folder)
    clinic.nexus("prod")["patients"]        # columns, rows

| at scale 1 | FileMaker | Nexus (prod) |
|---|---|---|
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nexus_reimport.errors import SandboxError
from nexus_reimport.sandbox.clinic import (
    diary,
    environments,
    filemaker,
    files,
    nexus,
    nexus_files,
    people,
    places,
    writing,
)
from nexus_reimport.sandbox.clinic.environments import DEV, ENVIRONMENTS, PROD, Environment, Rows
from nexus_reimport.sandbox.clinic.invent import Inventor
from nexus_reimport.sandbox.clinic.nexus_files import StoredObject
from nexus_reimport.sandbox.clinic.world import World
from nexus_reimport.sandbox.filemaker_file import Table

__all__ = ["DEV", "PROD", "Clinic", "Environment", "Rows", "StoredObject", "generate"]


@dataclass(frozen=True, slots=True)
class Clinic:
    """What was made up. One FileMaker file serves both environments."""

    filemaker: tuple[Table, ...]
    _world: World = field(repr=False)
    _nexus: dict[str, dict[str, Rows]] = field(repr=False)
    _missing: frozenset[str] = field(repr=False)

    def nexus(self, environment: str) -> dict[str, Rows]:
        """Table -> columns and rows of "dev" or "prod", parents first, as COPY takes them."""
        return self._nexus[environment]

    def objects(self, environment: str) -> list[StoredObject]:
        """What that environment's bucket holds: all files but a few that are missing."""
        return nexus_files.objects(self._nexus[environment], self._missing)

    def canaries(self) -> dict[str, tuple[str, ...]]:
        """Kind -> every value that identifies somebody, in every way in which it is written."""
        return {kind: tuple(values) for kind, values in self._world.invent.given.items()}


def generate(scale: float = 1.0, seed: int = 20251109) -> Clinic:
    """The clinic at ``scale`` times the real size; of every kind there is one at least.

    The same scale and seed give the same clinic.

    Raises:
        SandboxError: the scale is out of range.
    """
    if not 0.01 <= scale <= 1:
        raise SandboxError(
            f"a clinic cannot be made up at {scale:g} times the real size",
            state="nothing was made",
            next="choose a scale from 0.01 to 1",
        )
    world = World(seed, scale, Inventor(seed))
    for part in (places, people, diary, writing, files):
        part.make(world)
    tables = filemaker.tables(world)
    rows = nexus.tables(world)
    found = {
        name: environments.in_environment(rows, environment, world.recent)
        for name, environment in ENVIRONMENTS.items()
    }
    return Clinic(tables, world, found, nexus_files.missing_keys(found["dev"]))
