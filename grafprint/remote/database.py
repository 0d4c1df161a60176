"""A connection to PostgreSQL that comes back when it is lost, and whose errors say what to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors as sql
from psycopg.conninfo import make_conninfo

from grafprint.errors import LibraryError
from grafprint.remote import schema
from grafprint.remote.address import Address

_T = TypeVar("_T")
Connection = psycopg.Connection[tuple[Any, ...]]
_log = logging.getLogger(__name__)

# How long a lost connection is tried again: a server restarts in seconds.
PATIENCE_S = 60.0
_CONNECT_S = 10
# Half-dead connections are noticed: after 30 s without an answer to what was sent, or when idle.
_TCP = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
        "tcp_user_timeout": 30_000, "connect_timeout": _CONNECT_S}  # fmt: skip
# The same on the server's side, of whose writers others wait: a machine that vanishes in a change
# lets go of it after a minute, a program that hangs there after ten. The longest pause in a
# change is that of a reindex whose last rows the search server does not take.
_SERVER_SIDE = {"tcp_keepalives_idle": "30s", "tcp_keepalives_interval": "10s",
                "tcp_keepalives_count": "3", "tcp_user_timeout": "30s",
                "idle_in_transaction_session_timeout": "10min"}  # fmt: skip
_LOST = (psycopg.OperationalError, psycopg.InterfaceError, sql.IdleInTransactionSessionTimeout)
_RETRIED = (sql.SerializationFailure, sql.DeadlockDetected)


class Database:
    """The database of a library: one connection, used by one thread at a time."""

    def __init__(self, address: Address, *, writable: bool) -> None:
        """Connect. Raises LibraryError if the server cannot be reached or refuses."""
        self.address, self.writable = address, writable
        self.lock = threading.RLock()
        self.writer = 0  # the number whose advisory lock this connection holds
        self._depth = 0  # of snapshots
        self._in_transaction = False
        self._connection: Connection | None = None
        with _explained(address):
            self._connection = self._connect()

    def close(self) -> None:
        """Disconnect."""
        with self.lock:
            if self._connection is not None:
                with suppress(psycopg.Error):
                    self._connection.close()
                self._connection = None

    def change(self, work: Callable[[Connection], _T]) -> _T:
        """Run ``work`` in a transaction of its own; returns its result once that is committed.

        If the connection is lost, or another writer's transaction was in the way, it is run again.
        The server may have committed it before: ``work`` must come to the same end then.
        """
        with self.lock:
            assert not self._depth and not self._in_transaction

            def transaction(connection: Connection) -> _T:
                self._in_transaction = True
                try:
                    with connection.transaction():
                        return work(connection)
                finally:
                    self._in_transaction = False

            return self._patiently(transaction)

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run ``work``, which only reads; in the snapshot if there is one."""
        with self.lock:
            return self._patiently(work)

    def rows(self, statement: LiteralString, values: Any = ()) -> list[tuple[Any, ...]]:
        """The rows that a SELECT gives; byte strings come as they are."""

        def select(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(statement, values).fetchall()

        return self.read(select)

    @contextmanager
    def snapshot(self) -> Iterator[bool]:
        """Read the database as it is now, in everything that follows; may be nested.

        Yields whether this is the outermost one. Other threads wait.
        """
        with self.lock:
            outermost = not self._depth and not self._in_transaction
            if outermost:
                self.read(_begin)
            self._depth += 1
            try:
                yield outermost
            finally:
                self._depth -= 1
                if outermost and self._connection is not None:
                    # A connection that was lost has nothing to end.
                    with suppress(psycopg.Error):
                        self._connection.execute("COMMIT")

    def _patiently(self, work: Callable[[Connection], _T]) -> _T:
        """Run ``work``, again and on a new connection while that may help."""
        with _explained(self.address):
            deadline = 0.0  # what works may take its time
            wait_s = 0.1
            while True:
                try:
                    return work(self._current())
                except _RETRIED:
                    deadline = deadline or time.monotonic() + PATIENCE_S
                    if time.monotonic() > deadline:
                        raise
                    if self._depth:
                        self._current().execute("ROLLBACK")
                        _begin(self._current())
                except _LOST as failure:
                    deadline = deadline or time.monotonic() + PATIENCE_S
                    hopeless = self._connected or _hopeless(failure)
                    if hopeless or time.monotonic() > deadline:
                        raise
                    _log.info("lost the connection to %s (%s)", self.address, failure)
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, 2.0)

    @property
    def _connected(self) -> bool:
        """Whether the connection was not lost."""
        connection = self._connection
        return connection is not None and not (connection.broken or connection.closed)

    def _current(self) -> Connection:
        if self._connection is None:
            raise LibraryError(f"the library {self.address} was closed")
        if self._connection.closed:
            self._connection = self._connect()
            if self._depth:
                _begin(self._connection)
        return self._connection

    def _connect(self) -> Connection:
        # Texts in any script, whatever the database's encoding and the environment are.
        names = {"application_name": "grafprint", "client_encoding": "UTF8"}
        added: dict[str, str | int] = {**_TCP, **names}
        added.update(self.address.encryption())
        connection: Connection = psycopg.connect(
            make_conninfo(self.address.url, **added), autocommit=True
        )
        try:
            if self.writable:
                self._become_writer(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _become_writer(self, connection: Connection) -> None:
        """Hold the lock that tells other writers that this one lives."""
        connection.execute("SET synchronous_commit = on")
        connection.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name,"
            " value)", (list(_SERVER_SIDE), list(_SERVER_SIDE.values()))
        )  # fmt: skip
        if not has_library(connection):
            return
        (self.writer,) = one(connection, "SELECT nextval('grafprint.writers')")
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (schema.WRITERS, self.writer))


def has_library(connection: Connection) -> bool:
    """Whether the database has the tables of a library."""
    # Not to_regclass: it may answer from what this connection remembers.
    found = one(
        connection,
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables"
        " WHERE schemaname = 'grafprint' AND tablename = 'state')",
    )
    return found == (True,)


def one(connection: Connection, statement: LiteralString, values: Any = ()) -> tuple[Any, ...]:
    """The one row that a statement gives."""
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    return row


def _begin(connection: Connection) -> None:
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _hopeless(failure: psycopg.Error) -> bool:
    """Whether trying again is in vain: the server has answered, and refuses."""
    refused = (sql.InvalidAuthorizationSpecification, sql.InvalidPassword, sql.InvalidCatalogName)
    return isinstance(failure, refused) or "certificate" in str(failure)


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """Turn the driver's errors into LibraryErrors that say what to do."""
    try:
        yield
    except psycopg.Error as failure:
        text = " ".join(str(failure).split())
        unknown = "database" in text and "does not exist" in text
        if unknown or isinstance(failure, sql.InvalidCatalogName):
            reason = f"make the database first: createdb {address.name}"
        elif isinstance(failure, sql.InsufficientPrivilege):
            reason = "ask its owner for the right to do this"
        elif isinstance(failure, sql.ReadOnlySqlTransaction):
            reason = "that server only reads: name the primary one"
        elif isinstance(failure, sql.UntranslatableCharacter):
            reason = (
                "its encoding has no such letters: copy the library into a database that is made "
                "with  createdb --encoding=UTF8 --template=template0"
            )
        elif isinstance(failure, sql.DiskFull):
            reason = "the server's disk is full; what was stored before is kept"
        elif isinstance(failure, psycopg.OperationalError) and failure.sqlstate is None:
            reason = (
                "the server cannot be reached, or refuses; check that it runs, the address, and "
                "the password (PGPASSWORD, ~/.pgpass)"
            )
            if "pg_hba.conf" in text:
                reason = (
                    "its pg_hba.conf lets nobody in with this user, database, host or encryption: "
                    "name another user (USER@ in the address, or PGUSER), or ask its owner"
                )
            elif any(word in text for word in ("SSL", "certificate")):
                reason = (
                    "the connection cannot be encrypted: give the server a certificate "
                    "(sslrootcert names its signer); or, if nobody can listen on that network, "
                    "add ?sslmode=disable to the address"
                )
        elif isinstance(failure, (psycopg.DataError, psycopg.ProgrammingError)):
            raise  # a fault of this program
        else:
            reason = "see the server's log; what was stored before is kept"
        raise LibraryError(f"cannot use the library {address}: {reason} ({text})") from failure
