"""Where a library is: a folder, or a database on a server named by its address."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from grafprint.errors import ConfigError, MissingPackageError

SCHEMES = ("postgresql", "postgres")
# What may follow the ? of an address: how to connect, but nothing secret.
_OPTIONS = {"sslmode", "sslrootcert", "sslcert", "sslkey", "service", "target_session_attrs"}
_ENCRYPTED = {"require", "verify-ca", "verify-full"}
_MODES = {*_ENCRYPTED, "disable"}
_NO_PASSWORD = (
    "a password in an address is seen by everybody on this machine and kept by the shell: give it "
    "in the environment ({variable}) or in a file ({file})"
)


@dataclass(frozen=True)
class Address:
    """The address of a library on a PostgreSQL server: ``postgresql://[USER@]HOST[:PORT]/NAME``.

    ``NAME`` is a database; it may hold other tables as well. Options of libpq may follow a ``?``.
    """

    url: str

    def __post_init__(self) -> None:
        """Raise ConfigError if it is not an address, or has a password."""
        try:
            parts = urlsplit(self.url)
            password, options = parts.password, dict(parse_qsl(parts.query))
            _ = parts.port
        except ValueError as error:
            raise ConfigError(f"{self.url} is not the address of a library: {error}") from error
        if password or "password" in options or "passfile" in options:
            raise ConfigError(_NO_PASSWORD.format(variable="PGPASSWORD", file="~/.pgpass"))
        if parts.scheme not in SCHEMES:
            raise ConfigError(f"{self.url} is not the address of a PostgreSQL database")
        if not self.name and "service" not in options:
            raise ConfigError(f"{self.url} names no database: postgresql://HOST/NAME")
        if unknown := sorted(set(options) - _OPTIONS):
            raise ConfigError(
                f"{self.url}: unknown option {unknown[0]}: there are {', '.join(sorted(_OPTIONS))}"
            )
        if (mode := options.get("sslmode")) is not None and mode not in _MODES:
            raise ConfigError(
                f"{self.url}: sslmode={mode} does not say whether the connection is encrypted: "
                f"choose one of {', '.join(sorted(_MODES))}"
            )

    @property
    def name(self) -> str:
        """The name of the database."""
        return unquote(urlsplit(self.url).path.lstrip("/"))

    def __str__(self) -> str:
        return self.url

    @property
    def options(self) -> dict[str, str]:
        """What follows the ``?``."""
        return dict(parse_qsl(urlsplit(self.url).query))

    def encryption(self) -> dict[str, str]:
        """What to add to the connection so that it is encrypted, unless it stays on this machine.

        The server's certificate is checked (``verify-full``), with the certificates in
        ``~/.postgresql/root.crt`` if that exists, else with the system's. Whoever wants less says
        so: by ``sslmode`` in the address or PGSSLMODE in the environment.
        """
        options = self.options
        asked = os.environ.get("PGSSLMODE")
        if "sslmode" in options or asked in _MODES or self._on_this_machine():
            return {}
        added = {"sslmode": "verify-full"}
        own = Path("~/.postgresql/root.crt").expanduser()
        if not (own.is_file() or "sslrootcert" in options or "PGSSLROOTCERT" in os.environ):
            added["sslrootcert"] = "system"
        return added

    def _on_this_machine(self) -> bool:
        """Whether all its hosts are this machine; no if a service file names them."""
        if "service" in self.options or "PGSERVICE" in os.environ:
            return False
        netloc = urlsplit(self.url).netloc.rpartition("@")[2]
        named = netloc or os.environ.get("PGHOSTADDR") or os.environ.get("PGHOST") or ""
        return is_local(_host(part) for part in named.split(","))


Place: TypeAlias = Path | Address


def place_of(text: str | PurePath | Address) -> Place:
    """The place that a text names: an address if it begins with a scheme, else a folder.

    Raises ConfigError for an address that cannot be one.
    """
    if isinstance(text, Address):
        return text
    if isinstance(text, str) and "://" in text:
        return Address(text)
    return Path(text)


def is_local(hosts: Iterable[str]) -> bool:
    """Whether all hosts are this machine: its name, a loopback address, or a socket's folder."""
    return all(
        host in ("", "localhost", "::1") or host.startswith(("127.", "/", "@", "%2F", "%2f"))
        for host in hosts
    )


def check_engine_uri(uri: str, *, plain: bool) -> None:
    """Raise ConfigError unless ``uri`` is a Milvus server's that may be asked.

    Encrypted (https) or on this machine, or, if ``plain``, anywhere; without a password.
    """
    try:
        parts = urlsplit(uri)
        host, password, _ = parts.hostname or "", parts.password, parts.port
    except ValueError as error:
        raise ConfigError(f"{uri} is not the address of a Milvus server: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{uri} is not the address of a Milvus server: https://HOST:19530")
    if password or parts.username:
        raise ConfigError(
            _NO_PASSWORD.format(
                variable="GRAFPRINT_MILVUS_TOKEN=USER:PASSWORD",
                file="its name in GRAFPRINT_MILVUS_TOKEN_FILE",
            )
        )
    if parts.scheme == "http" and not (plain or is_local([host])):
        raise ConfigError(
            f"{uri} is not encrypted: name it https://{parts.netloc}, or allow it with --plain if "
            "nobody else can listen on that network"
        )


def _host(part: str) -> str:
    """The host of ``host``, ``host:port`` or ``[host]:port``."""
    if part.startswith("["):
        return part[1:].partition("]")[0]
    return part.partition(":")[0] if part.count(":") == 1 else part


def missing_package(error: ModuleNotFoundError) -> MissingPackageError:
    """The error for a package that is not installed, which says how to install it."""
    package = (error.name or "").partition(".")[0]
    return MissingPackageError(
        f"the package {package} is not installed, and libraries on servers need it: run  "
        'pip install "grafprint[cluster]"'
    )
