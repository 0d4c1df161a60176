"""Which databases can hold a library, and which libraries on servers are opened."""

import pytest

from grafprint.errors import ConfigError, LibraryError, MatchError
from grafprint.matching import identify
from grafprint.remote.address import Address
from grafprint.remote.opening import create_library, is_there, open_library
from tests.libraries import Network, fill
from tests.remote.conftest import given


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(postgres, encoding):
    address = Address(postgres.new_database(f"in{encoding.lower()}", encoding))
    with pytest.raises(LibraryError, match=f"is encoded in {encoding}.*createdb --encoding=UTF8"):
        create_library(address, Network())
    assert not is_there(address)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_library_in_another_encoding_stays_in_use(postgres, encoding, monkeypatch):
    """A version that did not refuse has made it; what it cannot store is an error."""
    from grafprint.remote import founding

    address = Address(postgres.new_database(f"old{encoding.lower()}", encoding))
    with monkeypatch.context() as old:
        old.setattr(founding, "_ENCODING", encoding)
        create_library(address, Network()).close()
    with open_library(address, writable=True) as library:
        (track,) = fill(library, given(1))
        library.catalogue.put_network("caf\u00e9")
        assert library.tracks() == [track] and library.catalogue.network == "caf\u00e9"
        cyrillic = {"\u043c\u0438\u0440.wav": "content"}
        if encoding == "LATIN1":
            with pytest.raises(LibraryError, match="has no such letters"):
                library.catalogue.keep_out(cyrillic)
        else:
            library.catalogue.keep_out(cyrillic)
            assert library.catalogue.kept_out == cyrillic


def test_another_network_is_refused(address, fingerprinter, remote):
    with pytest.raises(LibraryError, match="made with network given vectors"):
        open_library(address, model_id=fingerprinter.model_id)
    with pytest.raises(LibraryError, match="made with network"):
        remote.check_query(fingerprinter)
    with pytest.raises(LibraryError, match="there is a library in"):
        create_library(address, Network())


def test_an_empty_database_has_no_library(address):
    assert not is_there(address)
    with pytest.raises(LibraryError, match="there is no library in"):
        open_library(address)
    with pytest.raises(LibraryError, match="createdb nosuch"):
        open_library(Address(address.url.rpartition("/")[0] + "/nosuch"))
    with pytest.raises(LibraryError, match="reindex"):
        create_library(address, Network(), factory="IVF8,SQ8")
    with create_library(address, Network()) as library, pytest.raises(MatchError, match="is empty"):
        identify(library, given(1)[0])


def test_a_library_of_a_later_format_is_refused(address, remote):
    import psycopg

    with psycopg.connect(address.url) as server:
        server.execute("UPDATE grafprint.meta SET value = '2' WHERE key = 'format'")
    with pytest.raises(LibraryError, match="update GraFPrint"):
        open_library(address)


def test_an_engine_of_a_later_version_is_refused(address, remote):
    import psycopg

    fill(remote, given(1))
    with psycopg.connect(address.url) as server:
        server.execute(
            'UPDATE grafprint.state SET changes = changes + 1, engine = \'{"kind": "later"}\''
        )
    with open_library(address) as reader, pytest.raises(LibraryError, match="update GraFPrint"):
        identify(reader, given(1)[0])
    with psycopg.connect(address.url) as server:
        server.execute("UPDATE grafprint.state SET engine = %s", ('{"kind": "exact"}',))


def test_an_unknown_index_or_setting_is_refused():
    milvus = pytest.importorskip("grafprint.remote.milvus", reason="not installed: pymilvus")

    def settings(index, **given):
        return milvus.settings_for("http://localhost:1", "c", index, given, plain=False)

    assert settings("HNSW", ef=64).search == {"ef": 64}
    with pytest.raises(ConfigError, match="there is no index FAST"):
        settings("FAST")
    with pytest.raises(ConfigError, match="HNSW has no setting nprobe: it has M, efCon"):
        settings("HNSW", nprobe=3)
