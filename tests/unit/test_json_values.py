"""What the self-test changes in JSON, whatever people have written there."""

from __future__ import annotations

from nexus_reimport.saboteur import json_values

CHANGES = {name: change for name, _, change in json_values._CHANGES}


def test_only_a_text_of_plain_digits_becomes_a_number() -> None:
    change = CHANGES["a_json_text_is_a_number"]
    texts = ["\N{SUPERSCRIPT TWO}", "1_0", "07", "\N{ARABIC-INDIC DIGIT TWO}", "9" * 5_000]
    assert json_values._replaced([*texts, "12"], change) == [*texts, 12]
