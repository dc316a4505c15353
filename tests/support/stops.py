"""What stops a run, each with what is said of it."""

from __future__ import annotations

from collections.abc import Callable

from nexus_sandbox.filemaker.file import Field, FileTable
from support.clinic import ROLE, Clinic


def env(clinic: Clinic, name: str, value: str) -> None:
    path = clinic.folder / ".env.sandbox-dev"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name}=")]
    path.write_text("\n".join([*lines, f"{name}={value}"]) + "\n")


def without_field(clinic: Clinic, table: str, name: str) -> None:
    with clinic.simulator.edit() as tables:
        old = tables[table]
        fields = tuple(f for f in old.fields if f.name != name)
        for record in old.records:
            record.values.pop(name, None)
        tables[table] = FileTable(table, fields, old.records)


def with_field(clinic: Clinic, table: str, field: Field) -> None:
    with clinic.simulator.edit() as tables:
        old = tables[table]
        fields = tuple(field if f.name == field.name else f for f in old.fields)
        tables[table] = FileTable(table, fields, old.records)


def undecided(clinic: Clinic) -> None:
    path = clinic.folder / "sandbox-dev.toml"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("no_filemaker_id")]
    path.write_text("\n".join(kept))


def emptied(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        tables["API_Notes"].records.clear()


def without_waivers(clinic: Clinic) -> None:
    path = clinic.folder / "sandbox-dev.toml"
    path.write_text(
        path.read_text().replace('who = "sandbox"\nuntil = "2099', 'who = "x"\nuntil = "2001')
    )


def twice_claimed(clinic: Clinic) -> None:
    clinic.do(
        "UPDATE patients SET filemaker_metadata = (SELECT filemaker_metadata FROM patients"
        " WHERE filemaker_metadata ? 'filemaker_id' ORDER BY id LIMIT 1)"
        " WHERE id = (SELECT id FROM patients WHERE filemaker_metadata ? 'filemaker_id'"
        " ORDER BY id DESC LIMIT 1)"
    )


def with_trigger(clinic: Clinic) -> None:
    clinic.do("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
    clinic.do("CREATE TRIGGER t BEFORE INSERT ON patients FOR EACH ROW EXECUTE FUNCTION f()")


def with_cascade(clinic: Clinic) -> None:
    clinic.do(
        "CREATE TABLE extra (id integer PRIMARY KEY, patient_id uuid REFERENCES patients"
        " ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)"
    )


def unexplained(clinic: Clinic) -> None:
    clinic.do("CREATE TABLE bookmarks (id integer PRIMARY KEY, target text)")
    clinic.do("INSERT INTO bookmarks SELECT 1, upper(id::text) FROM patients LIMIT 1")


def without_right(clinic: Clinic) -> None:
    clinic.do(f"REVOKE DELETE ON notes FROM {ROLE}")


STOPS: dict[str, tuple[Callable[[Clinic], None], str, int]] = {
    "FileMaker unreachable": (
        lambda c: env(c, "NEXUS_SANDBOX_FILEMAKER_URL", "http://127.0.0.1:9"),
        "FileMaker",
        3,
    ),
    "FileMaker's password wrong": (
        lambda c: env(c, "NEXUS_SANDBOX_FILEMAKER_PASSWORD", "wrong-secret"),
        "password",
        2,
    ),
    "PostgreSQL's password wrong": (
        lambda c: env(c, "NEXUS_SANDBOX_PG_PASSWORD", "wrong-secret"),
        "PostgreSQL",
        2,
    ),
    "PostgreSQL unreachable": (
        lambda c: env(c, "NEXUS_SANDBOX_PG_PORT", "9"),
        "nothing listens",
        3,
    ),
    "database missing": (
        lambda c: c.edit("sandbox-dev", c.databases["dev"], "nowhere"),
        "no such database",
        2,
    ),
    "bucket missing": (
        lambda c: c.edit("sandbox-dev", "walk-nexus-dev", "walk-nexus-none"),
        "NoSuchBucket",
        2,
    ),
    "S3 unreachable": (
        lambda c: env(c, "NEXUS_SANDBOX_S3_ENDPOINT", "http://127.0.0.1:9"),
        "S3 could not",
        3,
    ),
    "S3's secret wrong": (
        lambda c: env(c, "NEXUS_SANDBOX_S3_SECRET_KEY", "wrong-secret"),
        "S3 refused",
        2,
    ),
    "field missing": (
        lambda c: without_field(c, "API_Contacts", "nameLast"),
        "no field nameLast",
        2,
    ),
    "field of another type": (
        lambda c: with_field(c, "API_Contacts", Field("DOB", "text")),
        "is a text",
        2,
    ),
    "field global": (
        lambda c: with_field(c, "API_Contacts", Field("gender", "text", is_global=True)),
        "a global field",
        2,
    ),
    "layout missing": (lambda c: c.simulator.tables.pop("API_Notes"), "API_Notes", 2),
    "column missing": (
        lambda c: c.do("ALTER TABLE patients DROP COLUMN title"),
        "patients: no column title",
        2,
    ),
    "column that nothing fills": (
        lambda c: c.do(
            "ALTER TABLE patients ADD COLUMN extra text NOT NULL DEFAULT 'x';"
            "ALTER TABLE patients ALTER COLUMN extra DROP DEFAULT"
        ),
        "new rows have no value",
        2,
    ),
    "table missing": (lambda c: c.do("DROP TABLE reminders"), "no table reminders", 2),
    "rows undecided": (undecided, "everything_is_decided", 1),
    "no notes in FileMaker": (emptied, "no_source_is_empty", 1),
    "waivers out of date": (without_waivers, "every_planned_patient_has_a_clinic", 1),
    "two patients with one id": (twice_claimed, "no_two_rows_claim_one_record", 1),
    "a trigger": (with_trigger, "nothing_unexplained_points_at_the_rows", 1),
    "a cascading key": (with_cascade, "nothing_unexplained_points_at_the_rows", 1),
    "an unexplained id": (unexplained, "nothing_unexplained_points_at_the_rows", 1),
    "a missing right": (without_right, "missing for role", 2),
}
