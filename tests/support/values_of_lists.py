"""Texts that a spreadsheet would compute, and texts that it would not."""

from __future__ import annotations

GUARDED = [
    "=1+1",
    "+61 412 345 678",
    "+61412345678",
    "-1-2",
    "@SUM(A1)",
    "\tx",
    "\rx",
    " =1",
    "\uff1d1",
    "\n=1",
    "-",
    "--1",
]
PLAIN = [
    "-5",
    "-5.25",
    "5",
    "a=b",
    "Größe “ok”",
    "a;=1",
    "it's",
    "'x",
    "",
    "1+1",
    'say "x", y',
    " x ",
    "two\nlines",
]
