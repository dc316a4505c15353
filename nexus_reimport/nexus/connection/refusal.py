"""Why a connection was refused, and what to do: our own words for each form of libpq's text.

For a connection that was never made, libpq gives no SQLSTATE, only a text, which may hold names of
other roles and databases. So nothing of it is quoted. For a text of unknown form, for example in
another language, the message says that the reason is in the server's log.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from dataclasses import dataclass, replace

from nexus_reimport import disks
from nexus_reimport.errors import (
    NOTHING_WRITTEN,
    TargetError,
    TargetRefused,
)
from nexus_reimport.settings import Postgres

_SSL_REQUEST = struct.pack("!II", 8, 80877103)  # PostgreSQL's SSLRequest: its length, its code
_SECONDS = 10
NO_ANSWER = "the host did not answer in time"


@dataclass(frozen=True, slots=True)
class Why:
    """What happened, what to do next, and whether the server is there and refuses us."""

    what: str
    next: str
    is_refused: bool = False

    def error(self, where: str, state: str = NOTHING_WRITTEN, program: str = "") -> TargetError:
        """The error, told by ``program`` if one of PostgreSQL's had it."""
        kind = TargetRefused if self.is_refused else TargetError
        what = f"{program}: {self.what}" if program else self.what
        return kind(what, where=where, state=state, next=f"{self.next}. Then run this again")


def _why(pattern: str, what: str, next: str) -> tuple[re.Pattern[str], Why]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL), Why(what, next)


def _refused(pattern: str, what: str, next: str) -> tuple[re.Pattern[str], Why]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL), Why(what, next, is_refused=True)


_CERTIFICATE = (
    "set [postgres] sslrootcert to the certificate of the authority that signed the server's"
)
_UNVERIFIED = Why(
    "the server's certificate cannot be verified",
    f"{_CERTIFICATE}. Do not go on without it: another server may be answering",
)
_NOT_LISTENING = Why(
    "nothing listens at this host and port",
    "check [postgres] host and port, that PostgreSQL is running, and that it listens on this"
    " address (listen_addresses)",
)
_OF_DISKS = tuple(disks.words().items())
# The first pattern that matches counts: those of one cause first, then those of several causes.
_SHAPES = (
    _why(
        r"unsupported startup parameter|RDS Proxy|command-line options",
        "a connection pooler refuses the settings of our sessions",
        "name PostgreSQL's own host and port in [postgres]; or set pgbouncer to pool_mode = session"
        " with ignore_startup_parameters = options",
    ),
    _why(
        r"no such database: |server login has been failing|server_login_retry|query_wait_timeout"
        r"|client_login_timeout|pgbouncer|max_client_conn",
        "a connection pooler refused the connection",
        "better: name PostgreSQL's own host and port in [postgres]; otherwise check the pooler's"
        " log and its list of databases",
    ),
    _why(
        r"server does not support SSL",
        "the server does not encrypt (TLS), and sslmode requires it",
        "turn on TLS on the server. Only if nobody can listen on the network between: set sslmode ="
        ' "disable" with sslmode_waiver = "the reason"',
    ),
    _why(
        r"SSL support is not compiled in|sslmode value .* invalid",
        "this PostgreSQL client was built without TLS, and sslmode requires it",
        "install PostgreSQL's own client tools and name their folder: [postgres] binaries",
    ),
    _why(
        # Older servers write "SSL off", newer ones "no encryption".
        r"(no encryption|SSL off).*no pg_hba|no pg_hba.conf entry.*(no encryption|SSL off)",
        "the server accepts no unencrypted connection from this machine (pg_hba.conf)",
        'set sslmode = "verify-full" in [postgres]',
    ),
    _refused(
        r"no pg_hba.conf entry|pg_hba.conf rejects",
        "the server accepts no connection of this role from this machine (pg_hba.conf)",
        "have an administrator add a line to pg_hba.conf for this machine's address, the database"
        " and the role, and reload the server's configuration",
    ),
    _why(
        r"valid client certificate|certificate authentication failed|alert certificate required"
        r"|alert handshake failure|alert unknown ca|alert bad certificate",
        "the server requires a client certificate, or does not accept ours",
        "set [postgres] sslcert and sslkey to a certificate that the server's administrator has"
        " issued for the role",
    ),
    _why(
        r"private key file|certificate present, but not private key|could not load private key"
        r"|could not read certificate file",
        "our client certificate or its key cannot be read",
        "check [postgres] sslcert and sslkey: both files must exist, the key with mode 0600",
    ),
    _why(
        # libpq looks for the default certificate in the home, which a service's account may lack.
        r"root certificate file .* does not exist|could not get home directory",
        "the file of the certificate authority does not exist",
        f"{_CERTIFICATE}; check its path",
    ),
    _why(
        r"could not (read|load|open) root certificate|no certificate or crl found",
        "the file of the certificate authority holds no readable certificate",
        f"{_CERTIFICATE}; the file must be in PEM form, and readable by you",
    ),
    _why(
        r"does not match host name|could not get server's host name",
        "the server's certificate is for another host name",
        "set [postgres] host to the name in the certificate; or have a certificate issued for the"
        " present name",
    ),
    (re.compile(r"certificate verify failed|self.signed certificate", re.IGNORECASE), _UNVERIFIED),
    *(
        _why(
            rf"(?:FATAL|PANIC):.*(?:{'|'.join(re.escape(w) for w, d in _OF_DISKS if d is disk)})",
            disk.servers_what,
            disk.servers_fix,
        )
        for disk in disks.KINDS
    ),
    *(  # of this program, not of the server's
        _why(
            rf"\A(?!.*(?:FATAL|PANIC):).*(?:{'|'.join(map(re.escape, words))})\Z",
            limit.what,
            limit.fix,
        )
        for limit, words in disks.limit_words().items()
    ),
    _why(
        r"too many connections for role",
        "the role has reached its limit of connections",
        "end sessions of the role, or raise its limit: ALTER ROLE … CONNECTION LIMIT",
    ),
    _why(
        r"too many connections for database",
        "the database has reached its limit of connections",
        "end unneeded sessions, or raise its limit: ALTER DATABASE … CONNECTION LIMIT",
    ),
    _why(
        r"too many clients|connection slots are reserved|too many connections",
        "the server has no free connection",
        "end unneeded sessions (pg_stat_activity), or raise max_connections",
    ),
    _why(
        r"system is starting up|not yet accepting connections|consistent recovery state",
        "the server is starting up",
        "wait a minute; after a crash or a restore it may take longer",
    ),
    _why(
        r"system is shutting down",
        "the server is shutting down",
        "wait until it is up again",
    ),
    _why(
        r"in recovery mode|Hot standby mode is disabled|hot standby|session is read-only",
        "the server is in recovery",
        "if it is a standby, name the primary server instead; after a crash, wait until it is up",
    ),
    _why(
        r"not currently accepting connections|cannot connect to invalid database",
        "the database is closed to connections",
        "somebody has closed it (ALTER DATABASE … ALLOW_CONNECTIONS), or a DROP DATABASE did not"
        " finish: ask the server's administrator",
    ),
    _refused(
        r"is not permitted to log in",
        "the role may not log in",
        "ALTER ROLE … LOGIN, or name another role: [postgres] user",
    ),
    _refused(
        r"permission denied for database",
        "the role may not connect to this database",
        "GRANT CONNECT ON DATABASE … TO …",
    ),
    _refused(
        r'role "[^"]*" does not exist',
        "the role does not exist on the server",
        "check [postgres] user in the environment's file",
    ),
    _refused(
        r'database "[^"]*" does not exist',
        "the server has no such database",
        "check [postgres] database in the environment's file",
    ),
    _refused(
        r"(peer|ident|GSSAPI|SSPI|LDAP|PAM|RADIUS|OAuth).{0,20}authentication failed",
        "the server uses another login method than a password, and did not accept our account",
        "have a line for scram-sha-256 added to pg_hba.conf, or run as the account that it names",
    ),
    _refused(
        r"(password|SASL|SCRAM) authentication failed|no password supplied",
        "the server did not accept the password of the role",
        "check [postgres] user, and the secret that password names. PostgreSQL gives the same"
        " answer for a role that does not exist, and for a password that has expired (VALID UNTIL)",
    ),
    _why(
        r"authentication method|channel binding|requires libpq version",
        "the server requires a login method that this client does not have",
        "have the password stored as scram-sha-256, and that method set in pg_hba.conf",
    ),
    _why(
        r"resolve host|translate host name|Name or service not known|nodename nor servname"
        r"|name resolution",
        "the host's name cannot be resolved",
        "check [postgres] host, the VPN, and the name server",
    ),
    (re.compile(r"connection refused", re.IGNORECASE), _NOT_LISTENING),
    _why(
        r"FATAL:.*(could not access file|could not load library|incompatible library)",
        "the server cannot load a library that it is told to load for each session",
        "have an administrator correct session_preload_libraries and local_preload_libraries, of"
        " the server, the database or the role, or install the library",
    ),
    _why(
        # The name of PostgreSQL's socket file, which ends with the port. A server that refuses us
        # behind it was reached.
        r"\A(?!.*FATAL:).*(\.s\.PGSQL\.|No such file or directory|Permission denied)",
        "the server's socket does not exist, or this account may not use it",
        "check [postgres] host, which is the socket's folder, and that PostgreSQL is running",
    ),
    _why(
        r"No route to host|unreachable|Host is down",
        "the host cannot be reached over the network",
        "check [postgres] host, the VPN, and whether a firewall blocks this machine",
    ),
    _why(
        # The system's "timed out", and libpq's "timeout expired".
        r"time(d)? ?out|timeout expired",
        NO_ANSWER,
        "check [postgres] host and port; the cause may be a firewall that drops packets, or a"
        " server that is too busy, or a connection pooler that gets no session of PostgreSQL",
    ),
    _why(
        # OpenSSL says "wrong version" or "packet length" of an answer in plain text.
        r"invalid response|expected authentication request|unexpected response|wrong version"
        r"|unknown protocol|lost synchronization|packet length|record layer",
        "the service at this host and port is not PostgreSQL",
        "check [postgres] host and port: a web server or another service listens there",
    ),
    _why(
        r"SSL error|SSL SYSCALL|could not (accept|create|establish|initiate) SSL",
        "no encrypted connection (TLS) could be made",
        "check [postgres] sslmode, the certificates, and the server's log",
    ),
    _why(
        r"closed the connection unexpectedly|Connection reset|EOF detected|Broken pipe",
        "the connection was closed before the server answered",
        "check the server's log. If it has no line about this: [postgres] host and port lead to"
        " another service, or a firewall or load balancer closes the connection",
    ),
)
_UNKNOWN = Why(
    "the server refused the connection",
    "the reason is in the server's own log: check it, and [postgres] in the environment's file",
)
_NO_ANSWER = Why(
    "PostgreSQL could not be reached",
    "check [postgres] host and port, and the server's log",
)


def why(text: str, target: Postgres) -> Why:
    """The cause of a failed connection, from libpq's ``text``."""
    cause = next((why for pattern, why in _SHAPES if pattern.search(text)), None)
    if cause is None:
        return _UNKNOWN if "FATAL" in text else _of_system() or _NO_ANSWER
    if cause is _UNVERIFIED:
        return _of_certificate(target) or cause
    if cause is _NOT_LISTENING and target.is_local:
        made_up = "if it is the made-up clinic: nexus-reimport sandbox up"
        return replace(cause, next=f"{cause.next}; {made_up}")
    return cause


def _of_system() -> Why | None:
    """Why this program cannot even begin to connect; libpq does not always say that."""
    try:
        socket.socket().close()
    except OSError as error:
        if disk := disks.failure(error):
            return Why(disk.what, disk.fix)
    return None


def is_of_connection(text: str) -> bool:
    """Whether ``text``, from a program of PostgreSQL, reports that it could not connect."""
    return bool(
        re.search(
            # The wording is the version's: "connection to server … failed" since PostgreSQL 14.
            r"connection to (server|database) .*failed|could not connect|could not translate host"
            r"|SSL support is not compiled in",
            text,
        )
    )


def _of_certificate(target: Postgres) -> Why | None:
    """Why the server's certificate was refused, from a second attempt: libpq gives no reason.

    Source: OpenSSL, X509_STORE_CTX_get_error, its numbers.
    """
    by_number = {
        10: Why(
            "the server's certificate has expired",
            "have a new certificate installed on the server",
        ),
        9: Why(
            "the server's certificate is not valid yet",
            "check this machine's clock, and the first day of the certificate",
        ),
        62: Why(
            "the server's certificate is for another host name",
            "set [postgres] host to the name in the certificate",
        ),
        64: Why(
            "the server's certificate is for another host name",
            "set [postgres] host to the name in the certificate",
        ),
    }
    try:
        context = ssl.create_default_context(cafile=target.sslrootcert or None)
        # `verify-ca` checks who signed, and not for which host.
        context.check_hostname = target.sslmode == "verify-full"
        with socket.create_connection((target.host, target.port), _SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            # S: the server goes on with TLS; N: it has none.
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=target.host).close()
    # libpq says only that verification failed: OpenSSL's own number tells why.
    except ssl.SSLCertVerificationError as error:
        return by_number.get(error.verify_code)
    except (OSError, ValueError):
        return None
    return None
