"""Texts that have a meaning for some format, and must be held unchanged by all."""

from __future__ import annotations

_BLANKS = ("", " ", "\t", "\n", "\r\n", "\x0b", "\x08\x0c", "\ufeff", "\x01\x7f\x85\u2028")
_SIGNS = ("\\", "\\N", "\\\\N", "N", "\\.", "\\t", "a\\tb", "'", '"', '"a"', ",", ";", "\xe9", "𝄞")
_WORDS = ("NULL", "null", "NaN", "true")
ODD_TEXTS = (*_BLANKS, *_SIGNS, *_WORDS)
