"""The compose file of docs/cluster.md: what can be checked without an engine of containers."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from benchmarks.shared.cluster_servers import MILVUS_TOKEN, Milvus, missing
from tests.paths import ROOT
from tests.tls import Authority

FOLDER = ROOT / "docs" / "cluster"
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]


def mounts(service: dict) -> list[list[str]]:
    """Source, place and mode of each volume."""
    return [volume.split(":") for volume in service.get("volumes", [])]


def test_services_wait_for_others_that_there_are():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{other} never becomes healthy"


def test_what_is_mounted_is_a_volume_or_made_by_the_reader():
    used = set()
    for service in SERVICES.values():
        for source, *_ in mounts(service):
            if source.startswith("."):
                assert (FOLDER / source).exists() or f"`{Path(source).name}`" in PAGE, source
            else:
                used.add(source)
    assert used == set(COMPOSE["volumes"])


def test_certificates_are_where_they_are_mounted():
    for name in ("postgres", "proxy"):
        asked = re.findall(r"/tls/([\w.]+)", str(SERVICES[name]))
        assert sorted(asked) == ["server.crt", "server.key"]
        assert ["./tls", "/tls", "ro"] in mounts(SERVICES[name])
        assert all(f"`{file}`" in PAGE for file in asked)


def test_passwords_are_in_the_environment_alone():
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY|ROOT_USER", key):
                assert re.fullmatch(r"\$\{\w+:\?\}", value), key
    # The page says which there are.
    named = set(re.findall(r"\$\{(\w+)", TEXT))
    assert named == set(re.findall(r"(\w+)=\.\.\.", TEXT)) and "`.env`" in PAGE


def test_only_what_must_prove_itself_is_reached_from_outside():
    assert [name for name, service in SERVICES.items() if "ports" in service] == [
        "postgres", "proxy",
    ]  # fmt: skip


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_the_proxys_settings_make_a_search_server_encrypt(tmp_path, monkeypatch):
    """The package's server, of the same version, reads them as the container's does."""
    if reason := missing("pymilvus", "milvus"):
        pytest.skip(reason)
    import grpc

    from grafprint.remote import milvus as engine

    authority = Authority(tmp_path / "tls")
    authority.sign("localhost")
    for end in ("crt", "key"):
        (tmp_path / "tls" / f"localhost.{end}").rename(tmp_path / "tls" / f"server.{end}")
    for name, value in SERVICES["proxy"]["environment"].items():
        if "TLS" in name:
            monkeypatch.setenv(name, value.replace("/tls/", f"{tmp_path}/tls/"))
    monkeypatch.setenv("GRAFPRINT_MILVUS_TOKEN", MILVUS_TOKEN)
    monkeypatch.setenv("GRAFPRINT_MILVUS_CA", str(authority.certificate))
    server = Milvus()
    try:
        server.start()
        uri = f"https://localhost:{server.port}"
        asked = engine.MilvusEngine(
            engine.settings_for(uri, "grafprint_own_tls", "FLAT", {}, plain=False), 128
        )
        try:
            asked.create()
            assert asked.count() == 0
        finally:
            asked.close()
        plain = grpc.insecure_channel(f"localhost:{server.port}")
        with plain, pytest.raises(grpc.FutureTimeoutError):
            grpc.channel_ready_future(plain).result(timeout=3)
    finally:
        server.stop()
