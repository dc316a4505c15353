"""``nexus-reimport status``: where each environment stands, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_reimport.cli.output import AsJson, OneOrAll, give, say_left_out

if TYPE_CHECKING:
    from nexus_reimport.runbook.whereabouts import Whereabouts


def status(environment: OneOrAll = "", as_json: AsJson = False) -> None:
    """Where each environment stands on its way, and the one thing to do next."""
    from nexus_reimport import settings as environments
    from nexus_reimport import show
    from nexus_reimport.runbook import whereabouts

    if environment:
        chosen = [environments.load(environment)]
    else:
        chosen = list(environments.every(say_left_out))
    places = [whereabouts.of(settings) for settings in chosen]
    text = "\n\n".join(show.whereabouts(one) for one in places)
    give({"environments": [_plain(one) for one in places]}, text or "none", as_json=as_json)


def _plain(value: Whereabouts) -> dict[str, object]:
    last = value.last
    return {
        "environment": value.environment,
        "adopted": not value.adopted,
        "last_run": last.id if last else "",
        "verdict": last.standing() if last else "",
        "unknown_to_database": value.apart.forgotten.run if value.apart.forgotten else "",
        "undecided": value.undecided,
        "dev_run": value.dev,
        "sign_off_open": [line.id for line in value.sheet.open],
        "window": value.window,
        "window_is_open": value.is_open,
        "refused": [refusal.what for refusal in value.refusals],
        "next": value.next,
    }
