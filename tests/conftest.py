"""For all tests: servers listen for HTTP where a test says so, since several run at once on one machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_http() -> Iterator[None]:
    """No HTTP, in this process and in those that tests start, unless `http_port` is given."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("AUDOTICS_HTTP_PORT", "-1")
        yield
