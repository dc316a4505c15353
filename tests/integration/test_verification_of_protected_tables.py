"""Verification after COMMIT: tables that no run writes, and what moves in them by itself."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport.checks.after import database
from nexus_reimport.settings import Waiver
from support.clinic import Clinic
from support.verifying import FIRST, failed, swap, verified

STEADY, ADDED = "protected_tables_are_as_they_were", "nothing_was_added_to_protected_tables"
CLINIC = FIRST.format("clinics")
# what others do to protected tables after COMMIT -> what the check says
PROTECTED = {
    "a clinic's colour": (
        f"UPDATE clinics SET color = '#010203' WHERE id = {CLINIC}",
        "clinics: rows 1 changed",
    ),
    "two clinics exchange their names": (swap("clinics", "name"), "clinics: rows 2 changed"),
    "NULL becomes empty": (
        f"UPDATE clinics SET abn = CASE WHEN abn IS NULL THEN '' END WHERE id = {CLINIC}",
        "clinics: rows 1 changed",
    ),
    "a template is gone": (
        f"DELETE FROM sms_templates WHERE id = {FIRST.format('sms_templates')}",
        "sms_templates: rows 1 lost",
    ),
    "every row of a table is gone": ("DELETE FROM sent_emails", "sent_emails: rows"),
    "one row is lost and another one added": (
        f"UPDATE sent_emails SET id = gen_random_uuid() WHERE id = {FIRST.format('sent_emails')}",
        "sent_emails: rows 1 lost",
    ),
    "an invoice's link moves to another patient": (
        swap("xero_invoice_links", "patient_id"),
        "xero_invoice_links: rows 2 changed",
    ),
    "a token is empty": (
        "UPDATE gmail_connections SET refresh_token = ''",
        "gmail_connections: rows 2 with a volatile column emptied",
    ),
    "a steady column beside volatile ones": (
        "UPDATE gmail_connections SET is_active = NOT is_active",
        "gmail_connections: rows",
    ),
    "a log has lost a row": (
        "DELETE FROM xero_sync_logs WHERE id = (SELECT min(id::text)::uuid FROM xero_sync_logs)",
        "xero_sync_logs: rows 1 lost",
    ),
    "a log has lost a row and got one": (
        "UPDATE xero_sync_logs SET id = gen_random_uuid()"
        " WHERE id = (SELECT min(id::text)::uuid FROM xero_sync_logs)",
        "xero_sync_logs: rows 1 lost",
    ),
    "a line of a log is written anew": (
        "UPDATE django_admin_log SET user_id = (SELECT max(id) FROM auth_user), object_repr = '?'"
        " WHERE id = (SELECT min(id) FROM django_admin_log)",
        "django_admin_log: rows 1 changed",
    ),
    "a table is gone": ("DROP TABLE xero_item_mappings CASCADE", "no table xero_item_mappings"),
    "a column of a table is gone": (
        "ALTER TABLE coordinators DROP COLUMN organization",
        "coordinators: ",
    ),
    "a column of a table is added": (
        "ALTER TABLE coordinators ADD COLUMN x text",
        "coordinators: ",
    ),
    "a row is there twice": (
        "ALTER TABLE specialties DROP CONSTRAINT specialties_pkey CASCADE;"
        " ALTER TABLE specialties DROP CONSTRAINT specialties_name_key;"
        " INSERT INTO specialties SELECT * FROM specialties LIMIT 1",
        "specialties: rows 1 twice",
    ),
    "a table of another schema": (
        "UPDATE other.log SET said = 'x' WHERE id = 1",
        "other.log: rows 1 changed",
    ),
}


@pytest.fixture
def beside(clinic: Clinic) -> tuple[Clinic, runbook.Runbook]:
    """A clinic whose database has another schema, after a whole run."""
    clinic.do(
        "CREATE SCHEMA other; CREATE TABLE other.log (id int PRIMARY KEY, said text);"
        "INSERT INTO other.log VALUES (1, 'a'), (2, 'b')"
    )
    clinic.grant()
    return clinic, clinic.whole(dry=True)


@pytest.mark.parametrize("name", PROTECTED)
def test_a_protected_row_that_was_lost_or_changed_stops_the_run(
    done: tuple[Clinic, runbook.Runbook], name: str, request: pytest.FixtureRequest
) -> None:
    clinic, book = done if "other" not in PROTECTED[name][0] else request.getfixturevalue("beside")
    statement, said = PROTECTED[name]
    with clinic.superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(statement)
    result = failed(verified(book))[STEADY]
    assert result.blocks
    assert said in " ".join(result.sample)


# what others do, as they always do -> the check that is for review, "" where none fails
USUAL = {
    "a token is renewed": ("UPDATE gmail_connections SET access_token = 'x', emails_sent = 9", ""),
    "somebody logs in": ("UPDATE auth_user SET last_login = now()", ""),
    "a log grows": (
        "INSERT INTO xero_sync_logs SELECT (jsonb_populate_record(l, jsonb_build_object('id',"
        " gen_random_uuid()))).* FROM xero_sync_logs l LIMIT 3",
        "",
    ),
    "sessions end": ("DELETE FROM django_session", ADDED),
    "an e-mail is sent": (
        "INSERT INTO sent_emails SELECT (jsonb_populate_record(e, jsonb_build_object('id',"
        " gen_random_uuid()))).* FROM sent_emails e LIMIT 2",
        ADDED,
    ),
}


@pytest.mark.parametrize("name", USUAL)
def test_what_moves_by_itself_stops_no_run(done: tuple[Clinic, runbook.Runbook], name: str) -> None:
    clinic, book = done
    statement, review = USUAL[name]
    clinic.do(statement)
    report = verified(book)
    assert report.passed
    assert failed(report).keys() - {"no_more_files_are_missing"} == ({review} if review else set())


def test_a_key_that_is_no_id_is_not_shown(done: tuple[Clinic, runbook.Runbook]) -> None:
    clinic, book = done
    clinic.do(f"UPDATE clinics SET color = '#010203' WHERE id = {CLINIC}")
    (said,) = failed(verified(book))[STEADY].sample
    assert str(clinic.value(f"SELECT {CLINIC}")) in said
    found = database._Compared(changed=2, keys=["(ann@example.org)", "(7)"])
    assert found.problem() == "rows 2 changed (7)"


def test_rows_that_were_changed_on_purpose_can_be_waived_up_to_a_number(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, book = done
    waived = Waiver(
        check=STEADY, at_most=1, reason="a new sign", who="A. Person", until="2099-12-31"
    )
    book = replace(book, settings=book.settings.model_copy(update={"waivers": (waived,)}))
    clinic.do(f"UPDATE clinics SET color = '#010203' WHERE id = {CLINIC}")
    assert STEADY not in failed(verified(book))
    clinic.do("UPDATE clinics SET color = '#010203'")
    assert failed(verified(book))[STEADY].blocks


# the line of the checklist -> its tables, and a column of each
LINES = {
    "K6": {"clinics": "color"},
    "K7": {"clinicians": "full_name"},
    "K8": {"appointment_types": "name"},
    "K9": {"funding_sources": "code", "custom_funding_sources": "name"},
    "K10": {"gmail_connections": "email_address", "sent_emails": "subject"},
    "K11, settings": {
        "xero_connections": "tenant_name",
        "xero_tracking_categories": "option_name",
        "xero_item_mappings": "xero_item_code",
    },
    "K11, links": {
        "xero_contact_links": "xero_contact_id",
        "xero_invoice_links": "xero_invoice_id",
        "xero_quote_links": "xero_quote_id",
        "xero_payments": "xero_payment_id",
        "xero_batch_payments": "batch_reference",
    },
    "K12": {"sms_templates": "message_template"},
}


@pytest.mark.parametrize("line", LINES)
def test_a_value_or_a_row_of_each_table_that_a_line_protects_is_missed(
    done: tuple[Clinic, runbook.Runbook], line: str
) -> None:
    clinic, book = done
    wrong = 0
    with psycopg.connect(clinic.server.dsn(clinic.databases["dev"]), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        for table, column in LINES[line].items():
            first, last = (f"(SELECT {way}(id::text)::uuid FROM {table})" for way in ("min", "max"))
            statements = (
                f"UPDATE {table} SET {column} = '#x' WHERE id = {first}",
                f"DELETE FROM {table} WHERE id = {last} AND id <> {first}",
            )
            changed, lost = (admin.execute(one).rowcount for one in statements)
            assert changed == 1, table
            wrong += changed + lost
    result = failed(verified(book))[STEADY]
    assert result.blocks
    assert result.offending == wrong
    assert [table for table in LINES[line] if f"{table}: rows" not in " ".join(result.sample)] == []
