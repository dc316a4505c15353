"""What a person must still decide: lines for the environment's file, each part with its place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from nexus_reimport import checks
from nexus_reimport.model import Plan, Report
from nexus_reimport.record import Run
from nexus_reimport.runbook.opening import today
from nexus_reimport.settings import Settings


def lines(run: Run, settings: Settings) -> str:
    """Decisions and waivers that ``run`` lacked and the file lacks still, to fill in.

    A table or a waiver that it has cannot stand there a second time: then a comment says where the
    lines belong.
    """
    plan, before = run.loaded(Plan), run.loaded(Report, "checks_before")
    return "\n".join([*_decisions(settings, plan), *_waivers(settings, before)])


def _decisions(settings: Settings, plan: Plan | None) -> Iterator[str]:
    pending = plan.open_in(settings) if plan else ()
    for place, asked in groupby(pending, lambda question: question.place):
        those = list(asked)
        one = those[0]
        has = settings.decisions.get(one.entity)
        if has is None or (one.is_of_column and "when_different" not in has.model_fields_set):
            yield f"[{place}]"
        elif one.is_of_column:
            yield f"# into when_different of [decisions.{one.entity}], which the file has:"
        else:
            yield f"# under [{place}], which the file has:"
        yield from (f'{q.name} = ""  # {q.choices}: {q.amount}' for q in those)
        yield ""


def _waivers(settings: Settings, before: Report | None) -> Iterator[str]:
    waivable = {c.name for c in checks.REGISTRY if c.waivable}
    given = {waiver.check: waiver for waiver in settings.waivers}
    for result in before.blocking if before else ():
        if result.check not in waivable or not result.looked_at:
            continue
        waiver = given.get(result.check)
        is_over = waiver is None or waiver.until < today(settings)
        if waiver and not is_over and waiver.at_most >= result.offending:
            continue
        if waiver is None:
            yield from ("[[waivers]]", f'check = "{result.check}"', f"at_most = {result.offending}")
            yield from ('reason = ""', 'who = ""')
        else:
            yield f"# in the waiver of {result.check}, which the file has, in place of its lines:"
            yield f"at_most = {result.offending}"
        if is_over:
            yield 'until = ""  # a day'
        yield ""
