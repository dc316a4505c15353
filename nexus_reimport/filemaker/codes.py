"""FileMaker's error codes: what each means for us, and what to do about it.

The HTTP status says little: most errors of FileMaker come as 500, and 401 is both a status (bad
login) and a code (no record matches). So only the code in the answer decides.

Source: Claris FileMaker Pro help, "FileMaker error codes"; Data API Guide, "Error responses"; the
codes below 0 and above 8000 are OData's, as measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport.errors import (
    MappingError,
    ReimportError,
    SettingsError,
    SourceError,
    SourceRefused,
)

OK = 0
NO_RECORD = 101  # also an offset past the end, and an empty table
NO_FIELD = 102
NO_LAYOUT = 105
NO_TABLE = -1020  # of OData: no such set, or the name of the set's type instead of the set's
NO_MEANING = 8309  # of OData: no such name, or a name without quotes
EXPIRED = frozenset({952, 112})  # 112 comes when the session was closed from outside

MANY = 99  # as many tries as the caller's retry policy allows


@dataclass(frozen=True, slots=True)
class Code:
    """One code. ``tries`` is 1 if another try cannot help; ``pause`` is the shortest wait."""

    text: str
    next: str
    error: type[ReimportError] = SourceError
    tries: int = 1
    pause: float = 0.0  # seconds


_ACCESS = (
    "give the account's privilege set fmrest (Data API) or fmodata (OData), and read access to the"
    " table, its layout and all their fields"
)
_FIX_THE_LAYOUT = "fix the layout in FileMaker"
_ACCOUNT = "fix the account in FileMaker, with the person who manages its accounts"
_RECOVER = "check the file on the server (Recover) before anything is read from it"
_HOST = "check that the server has opened the file for the network; then run again"
_AGAIN = "run again later"
_BUG = "this is a fault in our program: report it with the code and the server's version"

CODES = {
    -1002: Code("the address cannot be read", _BUG),
    NO_TABLE: Code(
        "table is missing",
        "write the name of a table occurrence that exists, or read this table by another channel:"
        ' in [filemaker] of the environment\'s file, channels = { notes = "data_api" }, with the'
        " table's name in the mapping for notes",
        MappingError,
    ),
    -1023: Code(
        "record is missing", "run again; if the problem remains, compare FileMaker's own count"
    ),
    -1: Code("an unknown error occurred", "check the server's log", tries=3),
    2: Code("the server's memory failed", "check the server's memory and log", tries=3),
    3: Code("the command is not available", _BUG),
    4: Code("the command is not known", _BUG),
    5: Code("the command is not valid", _BUG),
    7: Code("the server is running out of memory", "check the server's memory and log", tries=3),
    8: Code(
        "the result is empty", "run again; if the problem remains, compare FileMaker's own count"
    ),
    9: Code("privileges are insufficient", _ACCESS, SourceRefused),
    # The answer to a request that has no token.
    10: Code("requested data is missing", _BUG),
    11: Code(
        "a name is not valid",
        "write the name of the layout, table or field as FileMaker has it",
        MappingError,
    ),
    13: Code(
        "the file or object is in use",
        "run again when nobody is changing its layout or schema",
        tries=MANY,
    ),
    14: Code("a number is out of range", _BUG),
    16: Code("the operation failed, and FileMaker asks for another try", _AGAIN, tries=MANY),
    17: Code(
        "a text could not be converted to Unicode", "look for damaged texts in this table", tries=3
    ),
    18: Code("the account must log in elsewhere first", _ACCOUNT, SettingsError),
    21: Code("the request is not supported", "check the server's version"),
    100: Code("file is missing", "check the database's name, and the files that it refers to"),
    NO_RECORD: Code(
        "record is missing", "run again; if the problem remains, compare FileMaker's own count"
    ),
    NO_FIELD: Code("field is missing", "put the field on the layout", MappingError),
    103: Code("relationship is missing", _FIX_THE_LAYOUT, MappingError),
    104: Code("script is missing", _FIX_THE_LAYOUT, MappingError),
    NO_LAYOUT: Code(
        "layout is missing",
        "write the name of a layout that exists, or read this table by another channel: in"
        ' [filemaker] of the environment\'s file, channels = { notes = "odata" }, with the'
        " table's name in the mapping for notes",
        MappingError,
    ),
    106: Code("table is missing", _FIX_THE_LAYOUT, MappingError),
    107: Code("index is missing", "let FileMaker index the key field of this table"),
    108: Code("value list is missing", _FIX_THE_LAYOUT, MappingError),
    109: Code("privilege set is missing", _ACCOUNT, SourceRefused),
    110: Code("related tables are missing", _FIX_THE_LAYOUT, MappingError),
    111: Code("a field's repetition is not valid", _FIX_THE_LAYOUT, MappingError),
    113: Code("function is missing", _FIX_THE_LAYOUT, MappingError),
    114: Code("file reference is missing", _FIX_THE_LAYOUT, MappingError),
    116: Code("an object of the layout is missing", _FIX_THE_LAYOUT, MappingError),
    117: Code("data source is missing", _FIX_THE_LAYOUT, MappingError),
    130: Code("files are damaged or missing on the server", "reinstall FileMaker Server"),
    112: Code("window is missing: the session was closed from outside", "run again"),
    200: Code("record access is denied", _ACCESS, SourceRefused),
    203: Code("there are no records that this account may see", _ACCESS, SourceRefused),
    204: Code("fields of the sort order cannot be read", _ACCESS, SourceRefused),
    207: Code("the schema cannot be seen", _ACCESS, SourceRefused),
    201: Code("field cannot be modified", _BUG),
    202: Code("field access is denied", _ACCESS, SourceRefused),
    210: Code("the account is not active", _ACCOUNT, SettingsError),
    211: Code(
        "the password has expired",
        "set a new password, and put it into this environment",
        SettingsError,
    ),
    212: Code(  # one try: servers lock an account after a few wrong passwords
        "account or password is wrong",
        "correct [filemaker] user, or the secret that password names: it was tried only once",
        SettingsError,
    ),
    214: Code(
        "too many login attempts",
        "wait, and check account and password before you try again",
        SettingsError,
    ),
    213: Code("the account or its privilege set does not exist", _ACCOUNT, SettingsError),
    216: Code("the guest account may not do this", _ACCOUNT, SettingsError),
    300: Code("the file is locked or in use", _AGAIN, tries=MANY),
    301: Code("record is in use", "run again", tries=MANY),
    302: Code("the table is in use", _AGAIN, tries=MANY),
    304: Code("the layout is in use", "run again when nobody is changing it", tries=MANY),
    307: Code("another transaction holds a lock", _AGAIN, tries=MANY),
    303: Code(
        "the schema is being changed", "run again when nobody is defining fields", tries=MANY
    ),
    400: Code("find criteria are empty", _BUG),
    401: Code("no records match the request", _BUG),
    500: Code("a date in the request is not valid", _BUG),
    501: Code("a time in the request is not valid", _BUG),
    502: Code("a number in the request is not valid", _BUG),
    414: Code("the layout cannot show the result", _FIX_THE_LAYOUT, MappingError),
    801: Code("the file is damaged or is not a FileMaker file", _RECOVER),
    802: Code(  # the long pause gives the server time to open the file
        "the file cannot be opened",
        "check the database's name, and that the server has it open",
        tries=3,
        pause=15.0,
    ),
    803: Code("the file is open for one user only, or its host was not found", _HOST),
    804: Code("the file cannot be opened, not even for reading", _RECOVER),
    805: Code("the file is damaged", _RECOVER),
    806: Code("the file is of another version of FileMaker", "check the server's version"),
    807: Code("this is not a FileMaker file", "check the database's name"),
    808: Code("the file's access privileges are damaged", _RECOVER),
    809: Code("the server's disk is full", "free disk space on the server, then check the file"),
    810: Code("the server's disk is locked", "check the server's disk"),
    811: Code("a temporary file cannot be opened", "check the server's disk and log", tries=3),
    813: Code("a network error on the server", "check the server's log", tries=3),
    814: Code("too many files are open on the server", "close files that nobody needs", tries=3),
    815: Code("a file that lookups use cannot be opened", "open it on the server too"),
    817: Code("the file belongs to another solution", "check the database's name"),
    819: Code("a local copy of a file cannot be saved", "check the server's log"),
    820: Code("the file is being closed", _HOST, tries=3, pause=15.0),
    821: Code(
        "the host ended the connection", "check whether someone disconnects clients", tries=3
    ),
    812: Code("the host's capacity is exceeded", "run again later", tries=MANY),
    951: Code("an unexpected error occurred", "check the server's log", tries=3),
    952: Code(
        "the session is not valid, and the new one is not either",
        "check whether someone disconnects clients on the server, then run again",
    ),
    954: Code("the server does not know the form of our request", _BUG),
    955: Code("no database was named", _BUG),
    957: Code("two commands contradict each other", _BUG),
    # One yearly limit for the Data API and OData together: waiting does not help.
    953: Code("the licence's limit on data is exceeded", "ask the server's host for more"),
    956: Code(
        "too many sessions are open",
        "close unused clients: a session that was not logged out ends after 15 minutes",
        tries=MANY,
    ),
    958: Code("a parameter is missing", _BUG),
    959: Code("the Data API is switched off", "switch it on in the server's settings"),
    960: Code("a parameter is not valid", _BUG),
    1409: Code("an external (ODBC) source failed", "check the external source", tries=3),
    1413: Code("an external (ODBC) source was not reached", "check the external source", tries=3),
    1626: Code("the protocol is not supported", "check the address"),
    1627: Code("the account was refused", _ACCOUNT, SettingsError),
    1628: Code("TLS failed within the server", "check the server's certificates", tries=3),
    1629: Code("a connection within the server took too long", _AGAIN, tries=3),
    1630: Code("the address is not one of the Data API", "check the server's version"),
    1631: Code("a connection within the server failed", "check the server's log", tries=3),
    1632: Code("a certificate within the server has expired", "renew it"),
    1633: Code("a certificate within the server is self-signed", "install a signed one"),
    1634: Code("a certificate within the server is not trusted", "install a trusted one"),
    1635: Code("a connection within the server is not encrypted", "check the server's settings"),
    1638: Code("the host accepts no new connections", _AGAIN, tries=MANY),
    1700: Code(
        "the resource does not exist", "check the server's version, and the database's name"
    ),
    1701: Code("the host cannot take requests now", _AGAIN, tries=MANY),
    1702: Code("the login was not sent in the form that the server wants", _BUG, SettingsError),
    1703: Code(
        "account, password or token is wrong",
        "correct [filemaker] user, or the secret that password names: it was tried only once",
        SettingsError,
    ),
    1704: Code("the server does not accept this HTTP method", _BUG),
    1705: Code("a header is missing", _BUG),
    1706: Code("a parameter is not supported", "check the server's version"),
    1707: Code("a parameter is missing", _BUG),
    1708: Code("a parameter is not valid", _BUG),
    1709: Code("the server's state does not allow this", _AGAIN, tries=3),
    1710: Code("the server cannot read our request as JSON", _BUG),
    1711: Code("the host's licence has expired", "ask the server's host to renew it"),
    1713: Code("the server's system does not support this", "check the server's version"),
    1715: Code("logins of external servers are switched off", _ACCOUNT, SettingsError),
    NO_MEANING: Code(
        "a name or a type is wrong", "compare the fields with FileMaker", MappingError
    ),
}


def lookup(code: int) -> Code:
    """What ``code`` means; an unknown one is not tried again."""
    return CODES.get(code, Code("an unknown code", "look it up in Claris' list of error codes"))
