"""How a client reaches its servers: laziness, readiness, load balancing, TLS, metadata, injected channels, closing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import grpc
import pytest

from audotics.client import NO_RETRIES, AsyncRecommenderClient, Keepalive, RecommenderClient, Tls, UnavailableError


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_client_is_made_without_a_server(connect):
    client = connect(f"127.0.0.1:{closed_port()}", retries=NO_RETRIES)

    with pytest.raises(UnavailableError):
        client.recommend("u1")


def test_ready_when_a_server_is_there(client):
    client.wait_until_ready(10.0)


def test_not_ready_when_none_is(connect):
    target = f"127.0.0.1:{closed_port()}"

    with pytest.raises(UnavailableError, match=f"no server at {target} within 0.2 s"):
        connect(target).wait_until_ready(0.2)


def test_calls_go_round_robin(connect, start_server):
    servers = [start_server(), start_server()]
    client = connect("ipv4:" + ",".join(server.target for server in servers))
    give_up = time.monotonic() + 10
    while not all(server.received for server in servers):  # until both are connected, one takes all calls
        assert time.monotonic() < give_up, "one server never got a call"
        client.list_models()
    before = [len(server.received) for server in servers]

    for _ in range(10):
        client.list_models()

    assert [len(server.received) - count for server, count in zip(servers, before, strict=True)] == [5, 5]


def test_metadata_and_user_agent_go_with_every_call(connect, server):
    connect(server.target, metadata={"Authorization": "Bearer token"}).list_models()

    (received,) = server.received
    assert received.metadata["authorization"] == "Bearer token"
    assert received.metadata["user-agent"].startswith("audotics-python/0.")


def test_keepalive_is_accepted_by_grpc(connect, server):
    client = connect(server.target, keepalive=Keepalive(time_s=10.0, timeout_s=5.0, without_calls=True))

    assert client.list_models() == ()


def test_an_impossible_keepalive_is_refused():
    with pytest.raises(ValueError, match="keepalive times must be above 0"):
        Keepalive(time_s=0.0)


def test_an_impossible_deadline_is_refused(connect):
    with pytest.raises(ValueError, match="timeout_s must be above 0"):
        connect("localhost:1", timeout_s=float("inf"))


def test_a_closed_client_says_so(connect, server):
    client = connect(server.target)
    client.list_models()
    client.close()
    client.close()

    with pytest.raises(RuntimeError, match="this client is closed"):
        client.list_models()


def test_an_injected_channel_is_used_and_stays_open(server):
    with grpc.insecure_channel(server.target) as channel:
        for _ in range(2):
            with RecommenderClient("not used", channel=channel) as client:
                client.list_models()

    assert len(server.received) == 2


async def test_an_injected_aio_channel_is_used_and_stays_open(server):
    async with grpc.aio.insecure_channel(server.target) as channel:
        for _ in range(2):
            async with AsyncRecommenderClient("not used", channel=channel) as client:
                await client.list_models()

    assert len(server.received) == 2


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a folder with key.pem and cert.pem, self-signed for the name audotics.test."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is absent: no certificate to test TLS with")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "1", "-subj", "/CN=audotics.test", "-addext", "subjectAltName=DNS:audotics.test"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return tmp_path


def server_credentials(folder: Path, *, require_client: bool = False) -> grpc.ServerCredentials:
    key, chain = (folder / "key.pem").read_bytes(), (folder / "cert.pem").read_bytes()
    return grpc.ssl_server_credentials([(key, chain)], chain if require_client else None, require_client)


def test_tls(connect, start_server, certificate):
    server = start_server(credentials=server_credentials(certificate))
    tls = Tls.from_files(root_certificates=certificate / "cert.pem", server_name="audotics.test")

    assert connect(server.target, tls=tls).list_models() == ()


@pytest.mark.parametrize("trust", [{"server_name": "audotics.test"}, {"root_certificates": "cert.pem"}])
def test_tls_refuses_an_unknown_authority_and_another_name(connect, start_server, certificate, trust):
    server = start_server(credentials=server_credentials(certificate))
    if "root_certificates" in trust:
        trust = {"root_certificates": certificate / trust["root_certificates"]}

    with pytest.raises(UnavailableError):
        connect(server.target, tls=Tls.from_files(**trust), retries=NO_RETRIES).list_models()

    assert server.received == []


def test_a_server_can_ask_for_the_clients_certificate(connect, start_server, certificate):
    server = start_server(credentials=server_credentials(certificate, require_client=True))
    trust = {"root_certificates": certificate / "cert.pem", "server_name": "audotics.test"}
    mine = {"client_certificate": certificate / "cert.pem", "client_key": certificate / "key.pem"}

    with pytest.raises(UnavailableError):
        connect(server.target, tls=Tls.from_files(**trust), retries=NO_RETRIES).list_models()
    assert connect(server.target, tls=Tls.from_files(**trust, **mine)).list_models() == ()


def test_a_key_needs_its_certificate():
    with pytest.raises(ValueError, match="come together"):
        Tls(client_key=b"key")


def test_a_key_is_not_shown():
    assert "secret" not in repr(Tls(client_certificate=b"certificate", client_key=b"secret"))
