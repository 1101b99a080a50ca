"""HTTP beside gRPC: health, errors, ports that are taken, and an end that leaves nothing behind."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from audotics.server.telemetry.metrics import Metrics
from audotics.server.telemetry.readiness import Readiness
from audotics.server.transport.address import AddressError
from audotics.server.transport.http.application import application
from audotics.server.transport.http.server import HttpServer
from tests.scraping import page


def served(readiness: Readiness, *, host: str = "127.0.0.1", port: int = 0) -> HttpServer:
    return HttpServer(application(metrics=Metrics(), readiness=readiness), host=host, port=port, drain_s=1.0)


async def test_a_server_is_live_before_and_after_it_is_ready() -> None:
    readiness = Readiness()
    async with served(readiness) as http:
        address = f"127.0.0.1:{http.port}"

        async def state() -> tuple[int, Any]:
            found = await page(address, "/health/ready")
            return found.status, json.loads(found.content)

        assert (await page(address, "/health/live")).content == '{"status":"live"}'
        assert await state() == (
            503,
            {"error": {"code": 503, "message": "models are being loaded", "status": "UNAVAILABLE"}},
        )
        with readiness.serving():
            assert await state() == (200, {"status": "ready"})
        status, content = await state()
        assert (status, content["error"]["message"]) == (503, "the server is stopping")
        assert (await page(address, "/health/live")).status == 200


async def test_a_running_server_answers_and_says_where(start: Any, repository: Any) -> None:
    async with start(repository.path, http_port=0) as server:
        address = server.app.http_address
        assert address == f"127.0.0.1:{server.app.http_port}"
        assert (await page(address, "/health/ready")).status == 200
        metrics = await page(address, "/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=")
        assert "audotics_model_loaded" in metrics.content
        wrong = await page(address, "/metric")
        assert (wrong.status, json.loads(wrong.content)["error"]) == (
            404,
            {
                "code": 404,
                "message": "there is nothing at '/metric'; there are /metrics, /health/live, /health/ready",
                "status": "NOT_FOUND",
            },
        )
        refused = await page(address, "/metrics", method="POST")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
        assert json.loads(refused.content)["error"]["message"] == "/metrics does not take POST; send GET, HEAD"
    with socket.create_server(("127.0.0.1", server.app.http_port)):
        pass  # the port is free again


async def test_no_port_is_opened_where_none_is_wanted(start: Any, repository: Any) -> None:
    async with start(repository.path, http_port=-1) as server:
        assert (server.app.http_port, server.app.http_address) == (None, "")


async def test_a_port_that_is_taken_ends_the_start_with_one_message(start: Any, repository: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        expected = (
            rf"^127\.0\.0\.1:{port} is in use; stop the program that listens there, or choose another --http-port$"
        )
        with pytest.raises(AddressError, match=expected):
            async with start(repository.path, http_port=port):
                pass


async def test_a_name_of_two_addresses_is_listened_at_on_one_port() -> None:
    async with served(Readiness(), host="localhost") as http:
        for _, _, _, _, address in socket.getaddrinfo("localhost", http.port, type=socket.SOCK_STREAM):
            host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
            assert (await page(f"{host}:{http.port}", "/health/live")).status == 200


async def test_an_address_that_is_not_there_is_named() -> None:
    with pytest.raises(
        AddressError, match=r"cannot listen on 203\.0\.113\.7:0: .*; choose another --host or --http-port"
    ):
        async with served(Readiness(), host="203.0.113.7"):
            pass
