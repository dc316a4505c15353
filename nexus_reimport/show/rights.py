"""The list of rights as docs/rights.md shows it."""

from __future__ import annotations

from nexus_reimport.nexus.rights import RULES, Rule


def rights_paper() -> str:
    """Every right in Markdown tables: first the required rights, then the optional ones."""
    required = [r for r in RULES.values() if not r.without]
    optional = [r for r in RULES.values() if r.without]
    return "\n".join(
        [
            "## Without these it stops",
            "",
            "| right | on | why | at | for | statement |",
            "|---|---|---|---|---|---|",
            *(
                f"| {r.privilege} | {r.on} | {r.why} | {r.step} | {', '.join(r.tasks)} |"
                f" `{_statement(r)}` |"
                for r in required
            ),
            "",
            "## Without these it goes on",
            "",
            "| right | on | why | without it | statement |",
            "|---|---|---|---|---|",
            *(
                f"| {r.privilege} | {r.on} | {r.why} | {r.without} | `{_statement(r)}` |"
                for r in optional
            ),
        ]
    )


def _statement(rule: Rule) -> str:
    """The statement, with placeholders for the object and the role."""
    on = "FOR ROLE OWNER IN SCHEMA NAME" if "DEFAULT" in rule.template else "OBJECT"
    return rule.statement([rule.privilege], [on], "ROLE")
