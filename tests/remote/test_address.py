"""Addresses of libraries: what is one, where passwords may be, and when connections are plain."""

from pathlib import Path

import pytest

from grafprint.errors import ConfigError
from grafprint.remote.address import Address, check_engine_uri, place_of


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    for name in ("PGSSLMODE", "PGSERVICE", "PGHOST", "PGHOSTADDR", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_what_has_a_scheme_is_an_address_and_all_else_a_folder():
    assert place_of("music/library") == Path("music/library")
    assert place_of("C:\\music") == Path("C:\\music")
    assert place_of(Path("library")) == Path("library")
    address = place_of("postgresql://me@music.example:5433/my%20music")
    assert isinstance(address, Address) and address.name == "my music"
    assert place_of(address) is address


@pytest.mark.parametrize(
    "text, reason",
    [
        ("http://music.example/library", "not the address of a PostgreSQL database"),
        ("postgresql://music.example", "names no database"),
        ("postgresql://music.example:port/library", "not the address of a library"),
        ("postgresql://me:secret@music.example/library", "PGPASSWORD"),
        ("postgresql://music.example/library?password=secret", "PGPASSWORD"),
        ("postgresql://music.example/library?options=-c", "unknown option options"),
        ("postgresql://music.example/library?sslmode=prefer", "choose one of"),
        ("postgresql://music.example?pasword=secret", "unknown option pasword"),
        ("postgresql://music.example/library?passfile", "PGPASSWORD"),
        # Characters that end a name: libpq takes the rest otherwise than Python does.
        ("postgresql://me:secret/x@music.example/library", "not the address of a library"),
        ("postgresql://me:5/secret@music.example/library", "not the address of a library"),
        ("postgresql://me:5?secret@music.example/library", "not the address of a library"),
        ("postgresql://me:p[secret@music.example/library", "not the address of a library"),
        ("postgresql:///library#?host=10.0.0.1&password=secret", "not the address of a library"),
        ("postgresql://music.example/lib\nrary", "not the address of a library"),
    ],
)
def test_a_wrong_address_is_explained_without_its_password(text, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        place_of(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:5433", "[::1]:5433", "", "%2Fvar%2Frun", "localhost,127.0.0.2"]
)
def test_this_machine_may_be_asked_without_encryption(host):
    assert Address(f"postgresql://me@{host}/library").encryption() == {}


@pytest.mark.parametrize(
    "host", ["music.example", "10.0.0.1", "localhost,music.example", "127.music.example"]
)
def test_other_hosts_must_prove_who_they_are(host):
    wanted = {"sslmode": "verify-full", "sslrootcert": "system"}
    assert Address(f"postgresql://{host}/library").encryption() == wanted


def test_hosts_of_the_environment_count_too(monkeypatch):
    monkeypatch.setenv("PGHOST", "music.example")
    assert Address("postgresql:///library").encryption()["sslmode"] == "verify-full"
    monkeypatch.setenv("PGHOST", "/var/run/postgresql")
    assert Address("postgresql:///library").encryption() == {}
    monkeypatch.setenv("PGHOST", "music.example")
    assert Address("postgresql://:5433/library").encryption()["sslmode"] == "verify-full"
    monkeypatch.delenv("PGHOST")
    monkeypatch.setenv("PGHOSTADDR", "10.0.0.1")  # goes there, whatever the address says
    assert Address("postgresql://localhost/library").encryption()["sslmode"] == "verify-full"
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    assert Address("postgresql://localhost/library").encryption() == {}
    monkeypatch.setenv("PGSERVICE", "music")
    assert Address("postgresql:///library").encryption()["sslmode"] == "verify-full"


def test_less_must_be_asked_for(monkeypatch, tmp_path):
    assert Address("postgresql://music.example/library?sslmode=disable").encryption() == {}
    monkeypatch.setenv("PGSSLMODE", "require")
    assert Address("postgresql://music.example/library").encryption() == {}
    monkeypatch.setenv("PGSSLMODE", "prefer")  # libpq's default, which may be plain
    assert Address("postgresql://music.example/library").encryption()["sslmode"] == "verify-full"
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()
    own = Address("postgresql://music.example/library").encryption()
    assert own == {"sslmode": "verify-full"}


def test_a_search_server_elsewhere_must_be_encrypted_unless_plain_is_allowed():
    check_engine_uri("http://127.0.0.1:19530", plain=False)
    check_engine_uri("https://milvus.example:19530", plain=False)
    check_engine_uri("http://milvus.example:19530", plain=True)
    with pytest.raises(ConfigError, match="--plain"):
        check_engine_uri("http://milvus.example:19530", plain=False)
    with pytest.raises(ConfigError, match="--plain"):
        check_engine_uri("http://127.milvus.example:19530", plain=False)
    with pytest.raises(ConfigError, match="not the address of a Milvus server"):
        check_engine_uri("milvus.example", plain=False)


@pytest.mark.parametrize(
    "uri, reason",
    [
        ("https://root:secret@milvus.example:19530", "GRAFPRINT_MILVUS_TOKEN"),
        ("grpc://root:secret@milvus.example:19530", "GRAFPRINT_MILVUS_TOKEN"),
        ("root:secret@milvus.example:19530", "not the address of a Milvus server"),
        ("https://root:secret/x@milvus.example:19530", "not the address of a Milvus server"),
    ],
)
def test_the_password_of_a_search_server_is_not_repeated(uri, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        check_engine_uri(uri, plain=True)
    assert "secret" not in str(caught.value)
