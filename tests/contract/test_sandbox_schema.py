from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.stack import fill

SCHEMA = Path(fill.__file__).with_name("schema.sql")

# columns, of them NOT NULL, unique constraints, foreign keys, indexes beside those of constraints
TABLES = """
account_emailaddress           5   5  1  1   2
account_emailconfirmation      5   4  1  1   2
appointment_types              6   6  1  0   1
appointments                  30  12  1  6  14
auth_group                     2   2  1  0   1
auth_group_permissions         3   3  1  2   2
auth_permission                4   4  1  1   1
auth_user                     11  10  1  0   1
auth_user_groups               3   3  1  2   2
auth_user_user_permissions     3   3  1  2   2
clinicians                    15   5  1  2   3
clinics                       12   5  1  0   0
companies                      9   5  1  0   2
contact_relationships         10   9  0  2   5
coordinators                   9   6  0  0   2
custom_funding_sources         8   8  1  0   3
django_admin_log               8   6  0  2   2
django_content_type            3   3  1  0   0
django_migrations              4   4  0  0   0
django_session                 3   3  0  0   2
django_site                    3   3  1  0   1
documents_document            20  15  1  1   5
email_templates               12  12  0  0   0
encounters                    11   5  1  3   4
funding_sources                7   6  0  0   0
general_contacts               9   6  0  0   2
gmail_connections             16  14  1  0   1
images_batch                   8   7  0  2   4
images_image                  17  11  1  2   5
invoices_emailglobalsettings  40  37  0  0   0
invoices_emailtemplate        13  12  1  1   3
letters_patientletter          8   8  0  1   3
notes                          7   6  0  1   5
patient_coordinators          11   7  0  2   5
patient_referrers             10   7  2  2   5
patients                      30   6  1  2   7
referrer_companies             8   6  2  2   4
referrers                     13   5  1  2   4
reminders                     11   6  0  2   6
sent_emails                   19  17  0  2   5
sms_inbound                   11   9  0  1   4
sms_messages                  17  10  0  3   7
sms_templates                 12  11  1  1   2
socialaccount_socialaccount    7   7  1  1   1
socialaccount_socialapp        8   8  0  0   0
socialaccount_socialapp_sites  3   3  1  2   2
socialaccount_socialtoken      6   4  1  2   2
specialties                    3   3  1  0   1
xero_batch_payments           12  10  0  2   4
xero_connections              14  13  0  0   0
xero_contact_links            11   7  0  3   9
xero_invoice_links            21  13  1  4  11
xero_item_mappings            11  11  1  0   3
xero_payments                 13  11  1  3   8
xero_quote_links              18  10  1  4  11
xero_sync_logs                11   7  0  0   3
xero_tracking_categories       9   9  1  1   2
"""

PATIENTS = """
id uuid
mrn character varying(50)
first_name character varying(100)
last_name character varying(100)
middle_names character varying(100)
dob date
sex character varying(20)
contact_json jsonb
address_json jsonb
emergency_json jsonb
flags_json jsonb
created_at timestamp with time zone
updated_at timestamp with time zone
clinic_id uuid
coordinator_date date
coordinator_name character varying(200)
funding_type_id uuid
health_number character varying(50)
notes text
plan_end_date date
plan_start_date date
title character varying(10)
archived boolean
archived_at timestamp with time zone
archived_by character varying(100)
plan_dates_json jsonb
filemaker_metadata jsonb
ndis_plan_end_date date
ndis_plan_start_date date
funding_source character varying(50)
"""

COUNTED = """
SELECT t.relname,
       (SELECT count(*) FROM pg_attribute a
         WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT count(*) FROM pg_attribute a
         WHERE a.attrelid = t.oid AND a.attnum > 0 AND a.attnotnull),
       (SELECT count(*) FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'u'),
       (SELECT count(*) FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'f'),
       (SELECT count(*) FROM pg_index i WHERE i.indrelid = t.oid
          AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid
                                                        AND c.conrelid = t.oid))
  FROM pg_class t
 WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r'
 ORDER BY t.relname
"""


@pytest.fixture(scope="module")
def nexus(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    server = PostgresServer.start(tmp_path_factory.mktemp("postgres"), durable=False)
    with server.access.connect() as connection:
        connection.execute(SCHEMA.read_bytes())
        yield connection
    server.remove()


def test_every_table_has_its_columns_constraints_and_indexes(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    expected = [
        (name, *map(int, counts)) for name, *counts in map(str.split, TABLES.split("\n")[1:-1])
    ]
    assert len(expected) == 57
    assert sorted(nexus.execute(COUNTED).fetchall()) == expected


def test_every_foreign_key_does_nothing_and_waits_for_the_end_of_the_transaction(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    kinds = nexus.execute(
        "SELECT condeferrable, condeferred, confdeltype, confupdtype, convalidated, count(*)"
        " FROM pg_constraint WHERE contype = 'f' GROUP BY 1, 2, 3, 4, 5"
    ).fetchall()
    assert kinds == [(True, True, "a", "a", True, 73)]


def test_there_is_no_trigger_no_view_no_function_and_no_default(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    found = nexus.execute(
        "SELECT (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal),"
        " (SELECT count(*) FROM pg_views WHERE schemaname = 'public'),"
        " (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),"
        " (SELECT count(*) FROM pg_attrdef)"
    ).fetchone()
    assert found == (0, 0, 0, 0)


def test_identities_take_ids_that_are_given(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    kinds = nexus.execute(
        "SELECT attidentity, attname, count(*) FROM pg_attribute"
        " WHERE attidentity <> '' GROUP BY 1, 2"
    ).fetchall()
    assert kinds == [("d", "id", 18)]


def test_the_checks_are_the_two_that_a_real_installation_has(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    checks = nexus.execute(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'c' AND connamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
    assert checks == [
        ("django_admin_log", "CHECK ((action_flag >= 0))"),
        ("xero_contact_links", "CHECK ((NOT ((company_id IS NULL) AND (patient_id IS NULL))))"),
    ]


def test_indexes_of_every_kind_are_as_in_a_real_installation(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    definitions = "\n".join(
        str(text) for (text,) in nexus.execute("SELECT indexdef FROM pg_indexes").fetchall()
    )
    for ending in (
        "ON public.appointments USING btree (patient_id, start_time DESC)",
        "ON public.patients USING btree (mrn varchar_pattern_ops)",
        "ON public.account_emailaddress USING btree (upper((email)::text))",
        'ON public.images_image USING btree (batch_id, "order")',
        "xero_contact_links USING btree (connection_id, patient_id) WHERE (patient_id IS NOT NULL)",
    ):
        assert ending in definitions


def test_names_that_a_mapping_or_an_error_may_quote_are_the_real_ones(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    names = {name for (name,) in nexus.execute("SELECT conname FROM pg_constraint").fetchall()}
    assert names >= {
        "patients_clinic_id_828ae627_fk_clinics_id",
        "appointments_appointment_type_id_eb851910_fk_appointme",
        "patient_referrers_patient_id_referrer_id_f3f4c3d5_uniq",
        "contact_link_has_patient_or_company",
    }


def test_patients_have_the_types_of_a_real_installation(
    nexus: psycopg.Connection[tuple[object, ...]],
) -> None:
    columns = nexus.execute(
        "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'patients'::regclass AND attnum > 0 ORDER BY attnum"
    ).fetchall()
    assert [text for (text,) in columns] == PATIENTS.strip().split("\n")
