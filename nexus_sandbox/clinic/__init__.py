"""A made-up clinic of the real size, from one seed: its FileMaker file, its Nexus, its files.

    clinic = generate(scale=0.02)
    filemaker_file.save(clinic.filemaker, folder)
    clinic.nexus("prod")["patients"]  # columns, rows

| at scale 1   | FileMaker                        | Nexus (prod)                                  |
|--------------|----------------------------------|-----------------------------------------------|
| patients     | 2,845: 3 nameless, 12 new        | 2,867: 2,830 the same, 12 vanished, 25 own    |
| details      | 10,688, also of referrers, firms | in two shapes of JSON, and as plain text      |
| appointments | 15,127: 5,292 of nobody, 337 new | 9,830: 8,329 by id, 1,201 by start, 300 own   |
| notes        | 11,408: 193 empty, 70 new        | 11,210: 11,166 imported, 44 own               |
| messages     | 5,352: 180 to nobody             | 5,420: 300 own                                |
| replies      | 1,035: 72 of nobody              | 1,090: 80 own                                 |
| letters      | 10                               | 120, all own                                  |
| reminders    | 118 dates to connect             | 80, all own                                   |
| documents    | 11,269                           | 10,390: 200 own, 40 orphaned, 8 unlinked      |
| images       | 6,664                            | 6,609 in 1,691 batches: 120 in 30 own         |

"Own" is what was made in Nexus, which FileMaker does not know. ``_OUTCOMES`` in ``appointments``
and the lists of ``_Outcome`` in ``writing`` and ``files`` say what became of how many. dev is an
older copy of prod: five patients, 84 appointments, 70 notes and 65 documents are missing, some
edits too; it has other content types and another bucket. A few files are missing in both buckets.

``clinics``, ``people``, ``appointments``, ``writing`` and ``files`` make up what is true
(``facts``); ``filemaker*`` and ``nexus*`` write it down as either system holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nexus_reimport.errors import SandboxError
from nexus_sandbox.clinic import (
    appointments,
    clinics,
    environments,
    filemaker,
    files,
    nexus,
    nexus_files,
    people,
    writing,
)
from nexus_sandbox.clinic.environments import DEV, ENVIRONMENTS, PROD, Environment, Rows
from nexus_sandbox.clinic.facts import Facts
from nexus_sandbox.clinic.fake import Fake
from nexus_sandbox.clinic.nexus_files import StoredObject
from nexus_sandbox.filemaker.file import FileTable

__all__ = ["DEV", "PROD", "Clinic", "Environment", "Rows", "StoredObject", "generate"]


@dataclass(frozen=True, slots=True)
class Clinic:
    """The generated clinic. One FileMaker file serves both environments."""

    filemaker: tuple[FileTable, ...] = field(repr=False)
    _facts: Facts = field(repr=False)
    _nexus: dict[str, dict[str, Rows]] = field(repr=False)
    _missing: frozenset[str] = field(repr=False)

    def nexus(self, environment: str) -> dict[str, Rows]:
        """Table -> columns and rows of "dev" or "prod", parents first, as COPY takes them."""
        return self._nexus[environment]

    def objects(self, environment: str) -> list[StoredObject]:
        """The objects of that environment's bucket; a few are missing on purpose."""
        return nexus_files.objects(self._nexus[environment], self._missing)

    def canaries(self) -> dict[str, tuple[str, ...]]:
        """Kind -> every value that identifies a person, in every form in which it is written."""
        return {kind: tuple(values) for kind, values in self._facts.fake.given.items()}


def generate(scale: float = 1.0, seed: int = 20251109) -> Clinic:
    """The clinic at ``scale`` times the real size, with at least one of each kind.

    The same scale and seed give the same clinic.

    Raises:
        SandboxError: the scale is out of range.
    """
    if not 0.01 <= scale <= 1000:
        raise SandboxError(
            f"a clinic cannot be generated at {scale:g} times the real size",
            state="nothing was generated",
            next="choose a scale from 0.01 to 1000",
        )
    facts = Facts(seed, scale, Fake(seed))
    for part in (clinics, people, appointments, writing, files):
        part.make(facts)
    tables = filemaker.tables(facts)
    rows = nexus.tables(facts)
    by_environment = {
        name: environments.in_environment(rows, environment, facts.recent)
        for name, environment in ENVIRONMENTS.items()
    }
    return Clinic(tables, facts, by_environment, nexus_files.missing_keys(by_environment["dev"]))
