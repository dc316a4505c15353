"""FileMaker's error codes: what each means to us, and what to do about it.

The HTTP status says little: most errors of FileMaker come as 500, and 401 is both a status (bad
login) and a code (no record matches). So the code in the answer decides.

Source: Claris FileMaker Pro help, "FileMaker error codes"; Data API Guide, "Error responses"; the
codes below 0 and above 8000 are OData's, as measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport.errors import MappingError, ReimportError, SettingsError, SourceError

OK = 0
NO_RECORD = 101  # also an offset past the end, and an empty table
NO_FIELD = 102
NO_LAYOUT = 105
NO_MATCH = 401
NO_TABLE = -1020  # of OData: a set that is not there, or a type's name in place of its set's
NO_MEANING = 8309  # of OData: a name that is not there, or not in quotes
EXPIRED = frozenset({952, 112})  # 112 comes when the session was closed from outside

MANY = 99  # as many tries as the caller's patience has


@dataclass(frozen=True, slots=True)
class Code:
    """One code. ``tries`` is 1 where asking again cannot help; ``pause`` is the least wait."""

    text: str
    next: str
    error: type[ReimportError] = SourceError
    tries: int = 1
    pause: float = 0.0  # seconds


_ACCESS = "give the account read access to the table, its layout and every field of them"
_BUG = "this is a fault of ours: report it with the code and the server's version"

CODES = {
    -1002: Code("the address cannot be read", _BUG),
    NO_TABLE: Code("table is missing", "name the table occurrence that does exist", MappingError),
    -1023: Code("record is missing", "run again; if it stays, compare FileMaker's own count"),
    10: Code("requested data is missing", _BUG),
    NO_RECORD: Code("record is missing", "run again; if it stays, compare FileMaker's own count"),
    NO_FIELD: Code("field is missing", "put the field on the layout", MappingError),
    103: Code("relationship is missing", "mend the layout in FileMaker", MappingError),
    104: Code("script is missing", "mend the layout in FileMaker", MappingError),
    NO_LAYOUT: Code(
        "layout is missing",
        "name the layout that does exist, or read this table by another channel",
        MappingError,
    ),
    106: Code("table is missing", "mend the layout in FileMaker", MappingError),
    112: Code("window is missing: the session was closed from outside", "run again"),
    200: Code("record access is denied", _ACCESS),
    201: Code("field cannot be modified", _BUG),
    202: Code("field access is denied", _ACCESS),
    212: Code(
        "account or password is wrong",
        "correct the account or the password of this environment: it was tried once only",
        SettingsError,
    ),
    214: Code(
        "too many login attempts",
        "wait, and check account and password before a new try",
        SettingsError,
    ),
    301: Code("record is in use", "run again", tries=MANY),
    303: Code("the schema is being changed", "run again when nobody defines fields", tries=MANY),
    400: Code("find criteria are empty", _BUG),
    NO_MATCH: Code("no records match the request", _BUG),
    500: Code("a date in the request is not valid", _BUG),
    501: Code("a time in the request is not valid", _BUG),
    502: Code("a number in the request is not valid", _BUG),
    802: Code(
        "the file cannot be opened",
        "check the database's name, and that the server has it open",
        tries=3,
        pause=15.0,
    ),
    812: Code("the host's capacity is exceeded", "run again later", tries=MANY),
    951: Code("an unexpected error occurred", "look at the server's log", tries=3),
    952: Code(
        "the session is not valid, nor is the one that followed it",
        "see whether someone disconnects clients on the server, then run again",
    ),
    953: Code("the licence's limit on data is exceeded", "settle it with the server's host"),
    956: Code(
        "too many sessions are open",
        "close unused clients: a session that was not logged out ends after 15 minutes",
        tries=MANY,
    ),
    958: Code("a parameter is missing", _BUG),
    959: Code("the Data API is switched off", "switch it on in the server's settings"),
    960: Code("a parameter is not valid", _BUG),
    1630: Code("the address is not one of the Data API", "check the server's version"),
    NO_MEANING: Code(
        "a name or a type is wrong", "compare the fields with FileMaker", MappingError
    ),
}


def lookup(code: int) -> Code:
    """What ``code`` means; one that we do not know is not tried again."""
    return CODES.get(code, Code("not a code that we know", "look it up in Claris' list of codes"))
