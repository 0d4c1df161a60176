"""Where a library is: a folder, or a database on a server named by its address."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path, PurePath
from typing import TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

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
        what = "the address of a library: postgresql://[USER@]HOST[:PORT]/NAME"
        parts = _split(self.url, what)
        # Without a value it is an option, too.
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.password or "password" in options or "passfile" in options:
            raise ConfigError(_NO_PASSWORD.format(variable="PGPASSWORD", file="~/.pgpass"))
        if unknown := sorted(set(options) - _OPTIONS):  # its value may be secret
            raise ConfigError(
                f"unknown option {unknown[0]} in the address of a library: there are "
                f"{', '.join(sorted(_OPTIONS))}"
            )
        if not self.url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
            raise ConfigError(f"{self.url} is not the address of a PostgreSQL database")
        if not self.name and "service" not in options:
            raise ConfigError(f"{self.url} names no database: postgresql://HOST/NAME")
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
        from psycopg import pq

        if "service" in self.options or "PGSERVICE" in os.environ:
            return False
        # What libpq reads in it, and what it takes from the environment for the rest.
        named = {o.keyword: o.val for o in pq.Conninfo.parse(self.url.encode()) if o.val}
        host = named.get(b"host", b"").decode() or os.environ.get("PGHOST", "")
        return is_local(f"{host},{os.environ.get('PGHOSTADDR', '')}".split(","))


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
        host in ("", "localhost") or host.startswith(("/", "@")) or _is_loopback(host)
        for host in hosts
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name, which may begin like an address
        return False


def check_engine_uri(uri: str, *, plain: bool) -> None:
    """Raise ConfigError unless ``uri`` is a Milvus server's that may be asked.

    Encrypted (https) or on this machine, or, if ``plain``, anywhere; without a password.
    """
    what = "the address of a Milvus server: https://HOST:19530"
    parts = _split(uri, what)
    if parts.password or parts.username:
        raise ConfigError(
            _NO_PASSWORD.format(
                variable="GRAFPRINT_MILVUS_TOKEN=USER:PASSWORD",
                file="its name in GRAFPRINT_MILVUS_TOKEN_FILE",
            )
        )
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{uri} is not {what}")
    if parts.scheme == "http" and not (plain or is_local([host])):
        raise ConfigError(
            f"{uri} is not encrypted: name it https://{parts.netloc}, or allow it with --plain if "
            "nobody else can listen on that network"
        )


def _split(text: str, what: str) -> SplitResult:
    """The parts of an address. Raises ConfigError if other programs may see other parts in it.

    The message does not repeat it: anything in it may be a password.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
        odd = "#" in text or " " in text or not text.isprintable()
        if not odd and "@" not in parts.path + parts.query:
            return parts
    except ValueError:
        pass
    raise ConfigError(
        f"what was given is not {what}; other characters than letters and digits are written %2F "
        "for /, %40 for @, and so on, and a password is not part of it"
    )


def missing_package(error: ModuleNotFoundError) -> MissingPackageError:
    """The error for a package that is not installed, which says how to install it."""
    package = (error.name or "").partition(".")[0]
    return MissingPackageError(
        f"the package {package} is not installed, and libraries on servers need it: run  "
        'pip install "grafprint[cluster]"'
    )
