"""The framework's own tables: users, permissions, content types, sessions, the admin's log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from psycopg.types.json import Jsonb

from nexus_sandbox.clinic.environments import MODELS, Row, content_type, later
from nexus_sandbox.clinic.facts import Facts
from nexus_sandbox.clinic.nexus_config import SET_UP
from nexus_sandbox.clinic.times import IMPORTED

_GROUPS = ("Clinicians", "Reception", "Managers")
_ACTIONS = ("add", "change", "delete", "view")


def content_type_rows() -> Iterator[Row]:
    """One per model, with an id of the environment's own."""
    for app, model in MODELS:
        yield {"id": content_type(app, model), "app_label": app, "model": model}


def permission_rows() -> Iterator[Row]:
    """Four per model."""
    for number, (app, model) in enumerate(MODELS):
        for offset, action in enumerate(_ACTIONS, 1):
            yield {
                "id": number * len(_ACTIONS) + offset,
                "name": f"Can {action} {model}",
                "content_type_id": content_type(app, model),
                "codename": f"{action}_{model}",
            }


def group_rows() -> Iterator[Row]:
    """The groups of users."""
    for number, name in enumerate(_GROUPS, 1):
        yield {"id": number, "name": name}


def group_permission_rows() -> Iterator[Row]:
    """Managers may do everything, others may only look."""
    every = range(1, len(MODELS) * len(_ACTIONS) + 1)
    looks = [one for one in every if one % len(_ACTIONS) == 0]
    pairs = [*((3, one) for one in every), *((g, one) for g in (1, 2) for one in looks)]
    for number, (group, permission) in enumerate(pairs, 1):
        yield {"id": number, "group_id": group, "permission_id": permission}


def user_rows(facts: Facts) -> Iterator[Row]:
    """An administrator, and one user for each of the staff."""
    people = [(1, "admin", "", "", "admin@clinic.example")]
    people += [(s.user_id, f"user{s.user_id}", s.first, s.last, s.email) for s in facts.staff]
    for number, name, first, last, email in people:
        yield {
            "id": number,
            "password": "!made-up",
            "last_login": later(IMPORTED + timedelta(days=number % 5), before=IMPORTED),
            "is_superuser": number == 1,
            "username": name,
            "first_name": first,
            "last_name": last,
            "email": email,
            "is_staff": number == 1,
            "is_active": True,
            "date_joined": SET_UP,
        }


def user_group_rows(facts: Facts) -> Iterator[Row]:
    """Each of the staff is in one group."""
    for number, one in enumerate(facts.staff, 1):
        group = {"PEDORTHIST": 1, "RECEPTION": 2}.get(one.role, 3)
        yield {"id": number, "user_id": one.user_id, "group_id": group}


def user_permission_rows(facts: Facts) -> Iterator[Row]:
    """One user has one additional permission."""
    yield {"id": 1, "user_id": facts.staff[6].user_id, "permission_id": 1}


def address_rows(facts: Facts) -> Iterator[Row]:
    """Verified e-mail addresses of the users."""
    for number, one in enumerate(facts.staff, 1):
        yield {
            "id": number,
            "email": one.email,
            "verified": True,
            "primary": True,
            "user_id": one.user_id,
        }


def confirmation_rows() -> Iterator[Row]:
    """One address once had to be confirmed."""
    yield {"id": 1, "created": SET_UP, "sent": SET_UP, "key": "made-up", "email_address_id": 1}


def social_account_rows(facts: Facts) -> Iterator[Row]:
    """Users who log in through another service."""
    for number, one in enumerate(facts.staff[:4], 1):
        yield {
            "id": number,
            "provider": "google",
            "uid": f"{100_000 + number}",
            "last_login": later(IMPORTED + timedelta(days=4), before=IMPORTED),
            "date_joined": SET_UP,
            "extra_data": "{}",
            "user_id": one.user_id,
        }


def social_app_row() -> Row:
    """The service."""
    return {
        "id": 1,
        "provider": "google",
        "name": "Google",
        "client_id": "made-up",
        "secret": "made-up",
        "key": "",
        "provider_id": "google",
        "settings": Jsonb({}),
    }


def social_token_rows() -> Iterator[Row]:
    """A token for each account."""
    for number in range(1, 5):
        yield {
            "id": number,
            "token": later(f"made-up-{number}-2", before=f"made-up-{number}-1"),
            "token_secret": "",
            "expires_at": IMPORTED + timedelta(days=1),
            "account_id": number,
            "app_id": 1,
        }


def migration_rows() -> Iterator[Row]:
    """Which migrations were applied; installations were brought up in different ways."""
    apps = sorted({app for app, _ in MODELS})
    for number, app in enumerate(apps, 1):
        yield {"id": number, "app": app, "name": "0001_initial", "applied": SET_UP}


def session_rows(facts: Facts) -> Iterator[Row]:
    """Sessions of logged-in users."""
    for number in range(facts.size(60)):
        yield {
            "session_key": f"madeupsession{number:019}",
            "session_data": later(f"made-up-{number}", before="made-up"),
            "expire_date": IMPORTED + timedelta(days=14),
        }


def log_rows(facts: Facts) -> Iterator[Row]:
    """What was done in the admin's pages: to patients, appointments and clinics."""
    rng = facts.chance("admin log")
    events = facts.linkable_events()
    for number in range(facts.size(120)):
        if number % 3 == 0:
            about, kind = rng.choice(facts.in_nexus).id, content_type("patients", "patient")
        elif number % 3 == 1:
            about, kind = rng.choice(events).id, content_type("appointments", "appointment")
        else:
            about, kind = rng.choice(facts.places).id, content_type("clinicians", "clinic")
        yield {
            "id": number + 1,
            "action_time": IMPORTED + timedelta(minutes=number),
            "object_id": str(about),
            "object_repr": "a row",
            "action_flag": 2,
            "change_message": '[{"changed": {"fields": ["Updated at"]}}]',
            "content_type_id": kind,
            "user_id": 1,
        }
