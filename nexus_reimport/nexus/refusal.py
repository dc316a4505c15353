"""Why a connection was refused, and what to do: in our words, by the shape of libpq's.

libpq gives no SQLSTATE of a connection that never was, only a text, in which there may be names of
others. Nothing of it is quoted. A text of no known shape, as from a server that speaks another
language, is told as a refusal whose reason stands in the server's log.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from dataclasses import dataclass

from nexus_reimport.settings import Postgres

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Why:
    """What happened, and what to do next."""

    what: str
    next: str


def _why(pattern: str, what: str, next: str) -> tuple[re.Pattern[str], Why]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL), Why(what, next)


_POOLER = Why(
    "a connection pooler refuses the settings of our sessions",
    "name PostgreSQL's own host and port in [postgres]; or, with pool_mode = session, let pgbouncer"
    " ignore_startup_parameters = options",
)
_CERTIFICATE = "[postgres] sslrootcert: the certificate of the authority that signed the server's"
# The first that fits counts: from what only one cause says to what several may say.
_SHAPES = (
    _why(
        r"unsupported startup parameter|RDS Proxy|command-line options", _POOLER.what, _POOLER.next
    ),
    _why(
        r"no such database: |server login has been failing|server_login_retry|query_wait_timeout"
        r"|client_login_timeout|pgbouncer|max_client_conn",
        "a connection pooler refused the connection",
        "look at the pooler's log and its list of databases; better: name PostgreSQL's own host"
        " and port in [postgres]",
    ),
    _why(
        r"server does not support SSL",
        "the server does not encrypt (TLS), and sslmode asks for it",
        "turn TLS on at the server; only on a way that nobody can listen on: sslmode ="
        ' "disable" with sslmode_waiver = "the reason"',
    ),
    _why(
        r"SSL support is not compiled in|sslmode value .* invalid",
        "this PostgreSQL client was built without TLS, and sslmode asks for it",
        "install PostgreSQL's own client tools and name their folder: [postgres] binaries",
    ),
    _why(
        r"(no encryption|SSL off).*no pg_hba|no pg_hba.conf entry.*(no encryption|SSL off)",
        "the server takes no unencrypted connection from here (pg_hba.conf)",
        'set sslmode = "verify-full" in [postgres]',
    ),
    _why(
        r"no pg_hba.conf entry|pg_hba.conf rejects",
        "the server takes no connection of this role from this machine (pg_hba.conf)",
        "have a line added to pg_hba.conf for this machine's address, the database and the role,"
        " and the server told to read it again",
    ),
    _why(
        r"valid client certificate|certificate authentication failed|alert certificate required"
        r"|alert handshake failure|alert unknown ca|alert bad certificate",
        "the server wants a client certificate, or does not accept ours",
        "[postgres] sslcert and sslkey: a certificate that this server's administrator has issued"
        " for the role",
    ),
    _why(
        r"private key file|certificate present, but not private key|could not load private key"
        r"|could not read certificate file",
        "our client certificate or its key cannot be read",
        "[postgres] sslcert and sslkey: both files there, the key with mode 0600",
    ),
    _why(
        r"root certificate file .* does not exist|could not get home directory",
        "the file of the certificate authority is not there",
        f"{_CERTIFICATE}; look at its path",
    ),
    _why(
        r"could not (read|load|open) root certificate|no certificate or crl found",
        "the file of the certificate authority cannot be read as one",
        f"{_CERTIFICATE}, in PEM form, readable for you",
    ),
    _why(
        r"does not match host name|could not get server's host name",
        "the server's certificate is for another host name",
        "[postgres] host: the name that the certificate is for; or have a certificate issued for"
        " this one",
    ),
    _why(
        r"certificate verify failed|self.signed certificate",
        "the server's certificate cannot be verified",
        f"{_CERTIFICATE}. Do not go on without it: somebody else may be answering",
    ),
    _why(
        r"too many connections for role",
        "the role has as many connections as it may have",
        "end sessions of the role, or raise its limit: ALTER ROLE … CONNECTION LIMIT",
    ),
    _why(
        r"too many connections for database",
        "the database has as many connections as it may have",
        "end sessions that nobody needs, or raise its limit: ALTER DATABASE … CONNECTION LIMIT",
    ),
    _why(
        r"too many clients|connection slots are reserved|too many connections",
        "the server has no connection left",
        "end sessions that nobody needs (pg_stat_activity), or raise max_connections",
    ),
    _why(
        r"system is starting up|not yet accepting connections|consistent recovery state",
        "the server is starting up",
        "wait a minute, then run this step again; a restore or a recovery may take longer",
    ),
    _why(
        r"system is shutting down",
        "the server is shutting down",
        "wait until it is up again, then run this step again",
    ),
    _why(
        r"in recovery mode|Hot standby mode is disabled|hot standby|session is read-only",
        "the server is in recovery",
        "a standby takes no writes: name the primary server. After a crash: wait until it is up",
    ),
    _why(
        r"not currently accepting connections|cannot connect to invalid database",
        "the database is closed to connections",
        "somebody has closed it (ALTER DATABASE … ALLOW_CONNECTIONS), or it is half dropped: ask"
        " who looks after the server",
    ),
    _why(
        r"is not permitted to log in",
        "the role may not log in",
        "ALTER ROLE … LOGIN, or name another role: [postgres] user",
    ),
    _why(
        r"permission denied for database",
        "the role may not connect to this database",
        "GRANT CONNECT ON DATABASE … TO …",
    ),
    _why(
        r'role "[^"]*" does not exist',
        "the server knows no such role",
        "look at [postgres] user in the environment's file",
    ),
    _why(
        r'database "[^"]*" does not exist',
        "the server has no such database",
        "look at [postgres] database in the environment's file",
    ),
    _why(
        r"(peer|ident|GSSAPI|SSPI|LDAP|PAM|RADIUS|OAuth).{0,20}authentication failed",
        "the server does not ask for a password here, and did not accept who we are",
        "have a line for scram-sha-256 added to pg_hba.conf, or run as the account that it names",
    ),
    _why(
        r"(password|SASL|SCRAM) authentication failed|no password supplied",
        "the server did not accept the password of the role",
        "look at [postgres] user, and at the secret that password names. PostgreSQL says the same"
        " of a role that does not exist, and of a password that has ended (VALID UNTIL)",
    ),
    _why(
        r"authentication method|channel binding|requires libpq version",
        "the server asks for a way to log in that this client does not have",
        "have the password stored as scram-sha-256 and pg_hba.conf ask for that",
    ),
    _why(
        r"resolve host|translate host name|Name or service not known|nodename nor servname"
        r"|name resolution",
        "the host's name is not known",
        "look at [postgres] host; is the VPN up, does the name server answer?",
    ),
    _why(
        r"connection refused",
        "nothing listens at this host and port",
        "look at [postgres] host and port; is PostgreSQL running, and listening for this address"
        " (listen_addresses)?",
    ),
    _why(
        r"\.s\.PGSQL\.|No such file or directory|Permission denied",
        "the server's socket is not there, or not open to this account",
        "look at [postgres] host, which is the socket's folder; is PostgreSQL running?",
    ),
    _why(
        r"No route to host|unreachable|Host is down",
        "there is no way through the network to the host",
        "look at [postgres] host; is the VPN up, does a firewall let this machine through?",
    ),
    _why(
        r"time(d)? ?out|timeout expired",
        "the host did not answer in time",
        "look at [postgres] host and port; a firewall that says nothing, or a server that is too"
        " busy, looks like this",
    ),
    _why(
        r"invalid response|expected authentication request|unexpected response|wrong version"
        r"|unknown protocol|lost synchronization|packet length|record layer",
        "what answers at this host and port is no PostgreSQL",
        "look at [postgres] host and port: a web server or another service listens there",
    ),
    _why(
        r"SSL error|SSL SYSCALL|could not (accept|create|establish|initiate) SSL",
        "no encrypted connection (TLS) could be made",
        "look at [postgres] sslmode and its certificates, and at the server's log",
    ),
    _why(
        r"closed the connection unexpectedly|Connection reset|EOF detected|Broken pipe",
        "the connection was closed before the server had said who it is",
        "look at the server's log. No line in it: [postgres] host and port lead to something else,"
        " or a firewall or load balancer closes it",
    ),
)
_UNKNOWN = Why(
    "the server refused the connection",
    "the reason stands in the server's own log: look there, and at [postgres] in the environment's"
    " file",
)
_NO_ANSWER = Why(
    "PostgreSQL could not be reached",
    "look at [postgres] host and port, and at the server's log; then run this step again",
)


def why(text: str, target: Postgres) -> Why:
    """What libpq's ``text`` about a failed connection means."""
    found = next((why for pattern, why in _SHAPES if pattern.search(text)), None)
    if found is None:
        return _UNKNOWN if "FATAL" in text else _NO_ANSWER
    if found.what == "the server's certificate cannot be verified":
        return _of_certificate(target) or found
    return found


def is_of_connection(text: str) -> bool:
    """Whether a program of PostgreSQL's says that it could not connect."""
    return bool(
        re.search(
            r"connection to (server|database) .*failed|could not connect|could not translate host"
            r"|SSL support is not compiled in",
            text,
        )
    )


def _of_certificate(target: Postgres) -> Why | None:
    """Why the server's certificate was not accepted, asked once more; libpq does not tell it.

    Source: OpenSSL, X509_STORE_CTX_get_error, its numbers.
    """
    by_number = {
        10: Why(
            "the server's certificate has expired",
            "have a new one installed at the server; the one there is no longer valid",
        ),
        9: Why(
            "the server's certificate is not valid yet",
            "look at this machine's clock, and at the certificate's first day",
        ),
        62: Why(
            "the server's certificate is for another host name",
            "[postgres] host: the name that the certificate is for",
        ),
        64: Why(
            "the server's certificate is for another host name",
            "[postgres] host: the name that the certificate is for",
        ),
    }
    try:
        context = ssl.create_default_context(cafile=target.sslrootcert or None)
        context.check_hostname = target.sslmode == "verify-full"
        with socket.create_connection((target.host, target.port), _SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=target.host).close()
    except ssl.SSLCertVerificationError as error:
        return by_number.get(error.verify_code)
    except (OSError, ValueError):
        return None
    return None
