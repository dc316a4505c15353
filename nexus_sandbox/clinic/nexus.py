"""The Nexus side: all 57 tables as prod has them, parents first."""

from __future__ import annotations

from collections.abc import Iterable

from nexus_sandbox.clinic import (
    nexus_appointments,
    nexus_config,
    nexus_files,
    nexus_framework,
    nexus_mail,
    nexus_partners,
    nexus_people,
    nexus_texts,
    nexus_xero,
)
from nexus_sandbox.clinic.environments import Row, Rows, table
from nexus_sandbox.clinic.facts import Facts

Tables = dict[str, Iterable[Row]]


def tables(facts: Facts) -> dict[str, Rows]:
    """Every table with its rows; some values still vary by environment."""
    types = nexus_config.type_rows(facts)
    templates = nexus_config.sms_template_rows(facts)
    rows_of: Tables = {
        **_framework(facts),
        "clinics": nexus_config.clinic_rows(facts),
        "clinicians": nexus_config.clinician_rows(facts),
        "appointment_types": types,
        "funding_sources": nexus_config.funding_rows(facts),
        "custom_funding_sources": nexus_config.custom_funding_rows(facts),
        "sms_templates": templates,
        "invoices_emailtemplate": nexus_config.invoice_template_rows(facts),
        "invoices_emailglobalsettings": [nexus_config.global_settings_row()],
        **_partners(facts),
        "patients": nexus_people.patient_rows(facts),
        "appointments": nexus_appointments.appointment_rows(facts, types),
        "encounters": nexus_appointments.encounter_rows(facts),
        "notes": nexus_texts.note_rows(facts),
        "sms_messages": nexus_texts.message_rows(facts, templates),
        "sms_inbound": nexus_texts.reply_rows(facts),
        "letters_patientletter": nexus_texts.letter_rows(facts),
        "reminders": nexus_texts.reminder_rows(facts),
        **_ties(facts),
        **_mail(facts),
        **_xero(facts),
        **_files(facts),
        "django_admin_log": nexus_framework.log_rows(facts),
    }
    return {name: table(rows) for name, rows in rows_of.items()}


def _framework(facts: Facts) -> Tables:
    return {
        "django_content_type": nexus_framework.content_type_rows(),
        "django_migrations": nexus_framework.migration_rows(),
        "django_session": nexus_framework.session_rows(facts),
        "django_site": [{"id": 1, "domain": "nexus.example", "name": "Nexus"}],
        "auth_permission": nexus_framework.permission_rows(),
        "auth_group": nexus_framework.group_rows(),
        "auth_group_permissions": nexus_framework.group_permission_rows(),
        "auth_user": nexus_framework.user_rows(facts),
        "auth_user_groups": nexus_framework.user_group_rows(facts),
        "auth_user_user_permissions": nexus_framework.user_permission_rows(facts),
        "account_emailaddress": nexus_framework.address_rows(facts),
        "account_emailconfirmation": nexus_framework.confirmation_rows(),
        "socialaccount_socialapp": [nexus_framework.social_app_row()],
        "socialaccount_socialapp_sites": [{"id": 1, "socialapp_id": 1, "site_id": 1}],
        "socialaccount_socialaccount": nexus_framework.social_account_rows(facts),
        "socialaccount_socialtoken": nexus_framework.social_token_rows(),
    }


def _partners(facts: Facts) -> Tables:
    specialties = nexus_partners.specialty_rows(facts)
    return {
        "companies": nexus_partners.company_rows(facts),
        "specialties": specialties,
        "referrers": nexus_partners.referrer_rows(facts, specialties),
        "referrer_companies": nexus_partners.referrer_company_rows(facts),
        "coordinators": nexus_partners.coordinator_rows(facts),
    }


def _ties(facts: Facts) -> Tables:
    contacts = nexus_partners.general_contact_rows(facts)
    return {
        "patient_referrers": nexus_partners.patient_referrer_rows(facts),
        "patient_coordinators": nexus_partners.patient_coordinator_rows(facts),
        "general_contacts": contacts,
        "contact_relationships": nexus_partners.relationship_rows(facts, contacts),
    }


def _mail(facts: Facts) -> Tables:
    boxes = nexus_mail.gmail_rows(facts)
    templates = nexus_mail.mail_template_rows(facts)
    return {
        "gmail_connections": boxes,
        "email_templates": templates,
        "sent_emails": nexus_mail.sent_mail_rows(facts, boxes, templates),
    }


def _xero(facts: Facts) -> Tables:
    connection = nexus_xero.connection_row(facts)
    invoices = nexus_xero.invoice_rows(facts)
    batches = nexus_xero.batch_payment_rows(facts, connection)
    return {
        "xero_connections": [connection],
        "xero_item_mappings": nexus_xero.item_rows(facts),
        "xero_tracking_categories": nexus_xero.tracking_rows(facts),
        "xero_contact_links": nexus_xero.contact_rows(facts, connection),
        "xero_invoice_links": invoices,
        "xero_quote_links": nexus_xero.quote_rows(facts, invoices),
        "xero_batch_payments": batches,
        "xero_payments": nexus_xero.payment_rows(facts, connection, invoices, batches),
        "xero_sync_logs": nexus_xero.log_rows(facts, invoices),
    }


def _files(facts: Facts) -> Tables:
    own = nexus_files.own_batches(facts)
    return {
        "documents_document": nexus_files.document_rows(facts),
        "images_batch": nexus_files.batch_rows(facts, own),
        "images_image": nexus_files.image_rows(facts, own),
    }
