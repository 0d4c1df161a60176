"""Encrypted connections, whose server must prove who it is, and passwords.

The servers of the packages speak no TLS, so a process in front of them does.
"""

import shutil

import pytest

from benchmarks.shared.cluster_servers import LOCKED, MILVUS_TOKEN, REFUSED
from grafprint.errors import LibraryError
from grafprint.matching import identify
from grafprint.remote import database
from grafprint.remote.address import Address
from grafprint.remote.opening import create_library, open_library
from tests.libraries import Network, fill
from tests.remote.conftest import given
from tests.tls import Authority, TlsFront

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
HOST = "db.music.example"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """The right certificate authority, and another one."""
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder / "own"), Authority(folder / "other")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder, where a name elsewhere is that of this machine."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setattr(database, "PATIENCE_S", 0.5)
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def front(authorities, postgres):
    """The database server, with a certificate for HOST."""
    started = TlsFront(postgres.port, authorities[0].sign(HOST), postgres=True)
    yield started
    started.close()


def elsewhere(address: Address, front: TlsFront, more: str = "") -> Address:
    """The same database by the name of the host in the certificate."""
    return Address(f"postgresql://grafprint@{HOST}:{front.port}/{address.name}{more}")


def trust(home, authority: Authority) -> None:
    (home / ".postgresql").mkdir(exist_ok=True)
    shutil.copy(authority.certificate, home / ".postgresql" / "root.crt")


def test_a_server_elsewhere_is_used_once_its_authority_is_known(
    address, authorities, front, home, postgres
):
    own, other = authorities
    place = elsewhere(address, front)
    with pytest.raises(LibraryError, match="sslrootcert names its signer"):
        create_library(place, Network())  # the system does not know the authority
    trust(home, other)
    with pytest.raises(LibraryError, match="sslrootcert names its signer"):
        create_library(place, Network())
    trust(home, own)
    with create_library(place, Network()) as library:
        (track,) = fill(library, given(1))
        assert identify(library, given(1)[0][5:30]).matches[0].track == track
    named = elsewhere(address, front, f"?sslrootcert={own.certificate}")
    shutil.rmtree(home / ".postgresql")
    with open_library(named) as library:
        assert library.tracks() == [track]
    assert front.plain == []


def test_a_certificate_of_another_host_is_refused(address, authorities, front, home):
    trust(home, authorities[0])
    wrong = Address(elsewhere(address, front).url.replace(HOST, "other.example"))
    with pytest.raises(LibraryError, match="does not match host name"):
        open_library(wrong)


def test_nothing_is_sent_to_a_server_that_does_not_encrypt(address, authorities, home, postgres):
    trust(home, authorities[0])
    unencrypted = TlsFront(postgres.port, None, postgres=True)
    try:
        with pytest.raises(LibraryError, match="does not support SSL"):
            open_library(elsewhere(address, unencrypted))
        assert unencrypted.plain in ([], [b""])
    finally:
        unencrypted.close()


def test_a_host_of_the_environment_must_encrypt_as_well(
    address, authorities, home, monkeypatch, postgres
):
    """An address with nothing but a port leaves the host to the environment."""
    monkeypatch.setenv("PGHOST", HOST)
    unencrypted = TlsFront(postgres.port, None, postgres=True)
    try:
        with pytest.raises(LibraryError, match="does not support SSL"):
            open_library(f"postgresql://grafprint@:{unencrypted.port}/{address.name}")
        assert unencrypted.plain in ([], [b""])
    finally:
        unencrypted.close()


def test_a_password_comes_from_a_file_or_the_environment(address, home, monkeypatch, postgres):
    """The server trusts all roles on this machine but one."""
    import psycopg

    create_library(address, Network()).close()
    with psycopg.connect(address.url) as server:
        server.execute(f"DROP ROLE IF EXISTS {LOCKED}")
        server.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD 'secret word'")
        server.execute(f"GRANT pg_read_all_data TO {LOCKED}")
    place = Address(f"postgresql://{LOCKED}@127.0.0.1:{postgres.port}/{address.name}")
    with pytest.raises(LibraryError, match=r"the password \(PGPASSWORD, ~/\.pgpass\)"):
        open_library(place)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(LibraryError, match="password") as refused:
        open_library(place)
    assert "wrong" not in str(refused.value)
    monkeypatch.setenv("PGPASSWORD", "secret word")
    open_library(place).close()
    monkeypatch.delenv("PGPASSWORD")
    (home / ".pgpass").write_text(f"127.0.0.1:{postgres.port}:*:{LOCKED}:secret word\n")
    (home / ".pgpass").chmod(0o600)
    open_library(place).close()


def test_who_is_not_let_in_is_not_told_to_give_up_encryption(address, postgres):
    create_library(address, Network()).close()
    place = Address(f"postgresql://{REFUSED}@127.0.0.1:{postgres.port}/{address.name}")
    with pytest.raises(LibraryError, match="lets nobody in") as refused:
        open_library(place)
    assert "sslmode" not in str(refused.value)


def test_a_search_server_is_asked_with_certificate_and_password(
    address, authorities, home, milvus, monkeypatch
):
    """By the token in the environment or in a file; the server of these tests wants one."""
    from grafprint.remote import milvus as engine

    monkeypatch.setattr(engine, "_READ_S", 0.5)
    monkeypatch.setattr(engine, "_WRITE_S", 0.5)
    front = TlsFront(milvus.port, authorities[0].sign("localhost"), postgres=False)
    uri = f"https://localhost:{front.port}"
    try:

        def rows() -> int:
            settings = engine.settings_for(uri, "grafprint_tls", "FLAT", {}, plain=False)
            asked = engine.MilvusEngine(settings, 128)
            try:
                asked.create()
                return asked.count()
            finally:
                asked.close()

        with pytest.raises(LibraryError, match="GRAFPRINT_MILVUS_CA"):
            rows()  # signed by nobody that is known
        monkeypatch.setenv("GRAFPRINT_MILVUS_CA", str(authorities[1].certificate))
        with pytest.raises(LibraryError, match="GRAFPRINT_MILVUS_CA"):
            rows()
        monkeypatch.setenv("GRAFPRINT_MILVUS_CA", str(authorities[0].certificate))
        monkeypatch.setattr(engine, "_WRITE_S", 60.0)
        assert rows() == 0
        monkeypatch.setattr(engine, "_WRITE_S", 0.5)
        monkeypatch.setenv("GRAFPRINT_MILVUS_TOKEN", "root:wrong")
        with pytest.raises(LibraryError, match="GRAFPRINT_MILVUS_TOKEN") as refused:
            rows()
        assert "wrong" not in str(refused.value)
        monkeypatch.delenv("GRAFPRINT_MILVUS_TOKEN")
        with pytest.raises(LibraryError, match="GRAFPRINT_MILVUS_TOKEN"):
            rows()
        monkeypatch.setattr(engine, "_WRITE_S", 60.0)
        (home / "token").write_text(MILVUS_TOKEN + "\n")
        monkeypatch.setenv("GRAFPRINT_MILVUS_TOKEN_FILE", str(home / "token"))
        assert rows() == 0
    finally:
        front.close()
