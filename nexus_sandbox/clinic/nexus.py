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
from nexus_sandbox.clinic.facts import World

Tables = dict[str, Iterable[Row]]


def tables(world: World) -> dict[str, Rows]:
    """Every table with its rows; some values still vary by environment."""
    types = nexus_config.type_rows(world)
    templates = nexus_config.sms_template_rows(world)
    made: Tables = {
        **_framework(world),
        "clinics": nexus_config.clinic_rows(world),
        "clinicians": nexus_config.clinician_rows(world),
        "appointment_types": types,
        "funding_sources": nexus_config.funding_rows(world),
        "custom_funding_sources": nexus_config.custom_funding_rows(world),
        "sms_templates": templates,
        "invoices_emailtemplate": nexus_config.invoice_template_rows(world),
        "invoices_emailglobalsettings": [nexus_config.global_settings_row()],
        **_partners(world),
        "patients": nexus_people.patient_rows(world),
        "appointments": nexus_appointments.appointment_rows(world, types),
        "encounters": nexus_appointments.encounter_rows(world),
        "notes": nexus_texts.note_rows(world),
        "sms_messages": nexus_texts.message_rows(world, templates),
        "sms_inbound": nexus_texts.reply_rows(world),
        "letters_patientletter": nexus_texts.letter_rows(world),
        "reminders": nexus_texts.reminder_rows(world),
        **_ties(world),
        **_mail(world),
        **_xero(world),
        **_files(world),
        "django_admin_log": nexus_framework.log_rows(world),
    }
    return {name: table(rows) for name, rows in made.items()}


def _framework(world: World) -> Tables:
    return {
        "django_content_type": nexus_framework.content_type_rows(),
        "django_migrations": nexus_framework.migration_rows(),
        "django_session": nexus_framework.session_rows(world),
        "django_site": [{"id": 1, "domain": "nexus.example", "name": "Nexus"}],
        "auth_permission": nexus_framework.permission_rows(),
        "auth_group": nexus_framework.group_rows(),
        "auth_group_permissions": nexus_framework.group_permission_rows(),
        "auth_user": nexus_framework.user_rows(world),
        "auth_user_groups": nexus_framework.user_group_rows(world),
        "auth_user_user_permissions": nexus_framework.user_permission_rows(world),
        "account_emailaddress": nexus_framework.address_rows(world),
        "account_emailconfirmation": nexus_framework.confirmation_rows(),
        "socialaccount_socialapp": [nexus_framework.social_app_row()],
        "socialaccount_socialapp_sites": [{"id": 1, "socialapp_id": 1, "site_id": 1}],
        "socialaccount_socialaccount": nexus_framework.social_account_rows(world),
        "socialaccount_socialtoken": nexus_framework.social_token_rows(),
    }


def _partners(world: World) -> Tables:
    specialties = nexus_partners.specialty_rows(world)
    return {
        "companies": nexus_partners.company_rows(world),
        "specialties": specialties,
        "referrers": nexus_partners.referrer_rows(world, specialties),
        "referrer_companies": nexus_partners.referrer_company_rows(world),
        "coordinators": nexus_partners.coordinator_rows(world),
    }


def _ties(world: World) -> Tables:
    contacts = nexus_partners.general_contact_rows(world)
    return {
        "patient_referrers": nexus_partners.patient_referrer_rows(world),
        "patient_coordinators": nexus_partners.patient_coordinator_rows(world),
        "general_contacts": contacts,
        "contact_relationships": nexus_partners.relationship_rows(world, contacts),
    }


def _mail(world: World) -> Tables:
    boxes = nexus_mail.gmail_rows(world)
    templates = nexus_mail.mail_template_rows(world)
    return {
        "gmail_connections": boxes,
        "email_templates": templates,
        "sent_emails": nexus_mail.sent_mail_rows(world, boxes, templates),
    }


def _xero(world: World) -> Tables:
    connection = nexus_xero.connection_row(world)
    invoices = nexus_xero.invoice_rows(world)
    batches = nexus_xero.batch_payment_rows(world, connection)
    return {
        "xero_connections": [connection],
        "xero_item_mappings": nexus_xero.item_rows(world),
        "xero_tracking_categories": nexus_xero.tracking_rows(world),
        "xero_contact_links": nexus_xero.contact_rows(world, connection),
        "xero_invoice_links": invoices,
        "xero_quote_links": nexus_xero.quote_rows(world, invoices),
        "xero_batch_payments": batches,
        "xero_payments": nexus_xero.payment_rows(world, connection, invoices, batches),
        "xero_sync_logs": nexus_xero.log_rows(world, invoices),
    }


def _files(world: World) -> Tables:
    own = nexus_files.own_batches(world)
    return {
        "documents_document": nexus_files.document_rows(world),
        "images_batch": nexus_files.batch_rows(world, own),
        "images_image": nexus_files.image_rows(world, own),
    }
