"""What only Nexus knows: whether a JSON column still says what FileMaker does not feed."""

from __future__ import annotations

import pytest

from nexus_reimport.checks.after.rows import _differ, _Fed, _is_carried_over
from nexus_reimport.convert import OF_AN_ADDRESS

FED = _Fed(frozenset({"fed", "addresses"}), ("deep.fed",))
NO_ADDRESSES = _Fed(frozenset({"fed"}), ())
OF_ONE = min(OF_AN_ADDRESS)
TOO_DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("was", "now", "is_carried"),
    [
        ('{"fed": 1, "own": 2}', '{"fed": 9, "own": 2}', True),
        ('{"fed": 1, "own": 2}', '{"fed": 1, "own": 3}', False),
        ('{"fed": 1, "own": 2}', '{"fed": 1}', False),
        ('{"own": 1}', '{"own": 1.0}', False),
        (None, '{"fed": 1}', True),
        (None, '{"own": 1}', False),
        ('{"deep": {"fed": 1, "own": 2}}', '{"deep": {"fed": 5, "own": 2}}', True),
        ('{"deep": {"fed": 1, "own": 2}}', '{"deep": {"fed": 1}}', False),
        ('{"deep": {"fed": 1}}', "{}", True),
        ('{"deep": ""}', '{"deep": {"fed": 1}}', True),
        ('{"deep": 7}', '{"deep": {"fed": 1}}', False),
        ("[1]", '{"fed": 1}', True),
        ('{"own"', '{"own"', True),
        ('{"own"', '{"fed"', False),
        (TOO_DEEP, TOO_DEEP, True),
        (TOO_DEEP, "{}", False),
        (f'{{"{OF_ONE}": "S"}}', f'{{"addresses": [{{"{OF_ONE}": "S"}}]}}', True),
        (f'{{"{OF_ONE}": "S"}}', f'{{"addresses": [{{"{OF_ONE}": "T"}}]}}', False),
        (f'{{"{OF_ONE}": "S"}}', f'{{"{OF_ONE}": "T", "addresses": [{{"{OF_ONE}": "S"}}]}}', False),
        ('{"own": "S"}', '{"addresses": [{"own": "S"}]}', False),
    ],
)
def test_what_filemaker_does_not_feed_must_be_what_it_was(
    was: str | None, now: str, is_carried: bool
) -> None:
    assert _is_carried_over(FED, was, now) is is_carried


def test_nothing_moves_into_addresses_that_are_not_fed() -> None:
    was, now = f'{{"{OF_ONE}": "S"}}', f'{{"addresses": [{{"{OF_ONE}": "S"}}]}}'
    assert not _is_carried_over(NO_ADDRESSES, was, now)


@pytest.mark.parametrize(
    ("now", "wanted", "is_json", "differ"),
    [
        ('{"a":1}', '{"a": 1}', True, False),
        ('{"a":1}', '{"a": 1}', False, True),
        ('{"a":1}', '{"a": 1.0}', True, True),
        (None, "{}", True, True),
        (None, None, False, False),
    ],
)
def test_json_alone_is_compared_by_what_it_says(
    now: str | None, wanted: str | None, is_json: bool, differ: bool
) -> None:
    assert _differ(now, wanted, is_json) is differ
