"""Connections to PostgreSQL: a URL goes in, a read-only connection comes out, or an error in plain words.

A message never holds the password, whatever the server or the driver says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from audotics.data.dataset import DataError

if TYPE_CHECKING:
    import psycopg

SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")

CONNECT_TIMEOUT_S: Final = 10
"""Unless the URL has a `connect_timeout` of its own."""

OTHERWISE: Final = "or train on generated data with --synthetic"

_FORM: Final = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_ADVICE: Final = (
    (r"password authentication failed", "the password of {user} is wrong; correct it in the URL or in PGPASSWORD"),
    (r"no password supplied", "{user} needs a password; put it into the URL or into PGPASSWORD"),
    (r'database ".*" does not exist', "there is no database {database!r}; create it, or correct the end of the URL"),
    (r'role ".*" does not exist', "there is no database user {user}; correct the URL"),
    (
        r"could not translate host name|[Nn]ame or service not known",
        "the host is not known; correct the URL",
    ),
    (
        r"[Cc]onnection refused|No such file|timeout|timed out|No route|unreachable",
        "no server answers; start PostgreSQL, or correct host and port in the URL",
    ),
)
"""What the server or the driver says, and what we say. Connection errors carry no code, only text."""


def is_postgres_url(source: str) -> bool:
    scheme, separator, _ = source.partition("://")
    return bool(separator) and scheme.lower() in SCHEMES


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database's URL in parts. `shown` is the URL without the password."""

    parameters: dict[str, Any] = field(repr=False)
    shown: str
    user: str
    database: str

    @classmethod
    def parse(cls, source: str) -> DatabaseUrl:
        """Read a URL of SCHEMES. Raises DataError that quotes none of it, since a password may stand anywhere."""
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        malformed = DataError(
            f"the URL of the database cannot be read; it has the form {_FORM}, "
            "where @ : / ? % in a user name or password are written as %40 %3A %2F %3F %25"
        )
        _, _, rest = source.partition("://")
        try:
            parts = conninfo_to_dict("postgresql://" + rest)
        except psycopg.ProgrammingError:
            raise malformed from None
        user, database = str(parts.get("user") or ""), str(parts.get("dbname") or parts.get("user") or "")
        host, port = str(parts.get("host") or ""), str(parts.get("port") or "")
        # libpq reads u:p/w@host as host u, port p and database w@host, and would quote these in its errors.
        if "@" in host + database or not re.fullmatch(r"[\d,]*", port):
            raise malformed
        place = f"{user}@" if user else ""
        place += "" if host.startswith("/") else host + (f":{port}" if port else "")
        socket = f"?host={host}" if host.startswith("/") else ""
        parts.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
        return cls(dict(parts), f"postgresql://{place}/{database}{socket}", user or "the current user", database)

    def without_password(self, text: str) -> str:
        """`text` as one line, with the password blotted out wherever it stands."""
        secrets = {str(self.parameters.get(name) or "") for name in ("password", "sslpassword")} - {""}
        for secret in secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())


@contextmanager
def connect(url: DatabaseUrl) -> Iterator[psycopg.Connection]:
    """Open a connection that only reads, and sees one state of the database throughout. Raises DataError.

    What goes wrong with the database inside the block becomes a DataError too.
    """
    import psycopg

    try:
        connection = psycopg.connect(**url.parameters, application_name="audotics", client_encoding="utf8")
    except psycopg.Error as error:
        raise DataError(f"{url.shown}: {_in_plain_words(url, str(error))}, {OTHERWISE}") from None
    with connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            yield connection
        except psycopg.errors.InsufficientPrivilege as error:
            said = url.without_password(error.diag.message_primary or str(error))
            raise DataError(f"{url.shown}: {said}; grant {url.user} SELECT on it, {OTHERWISE}") from None
        except psycopg.Error as error:
            raise DataError(
                f"{url.shown}: reading failed: {url.without_password(str(error))}; see that the server is well and "
                "train again"
            ) from None


def _in_plain_words(url: DatabaseUrl, said: str) -> str:
    for pattern, advice in _ADVICE:
        if re.search(pattern, said):
            return advice.format(user=url.user, database=url.database)
    return f"cannot connect: {url.without_password(said)}; correct the URL"
