"""Names of tenants' models, and back."""

from __future__ import annotations

import pytest

from audotics.bundle.tenants import is_tenant, model_of, qualified, tenant_of


@pytest.mark.parametrize("tenant", ["acme", "acme-eu", "a1_b", "a" * 24])
@pytest.mark.parametrize("model", ["ncf", "my-model", "x--y"])
def test_a_name_tells_whose_it_is(tenant: str, model: str) -> None:
    assert is_tenant(tenant)
    name = qualified(tenant, model)
    assert (tenant_of(name), model_of(name)) == (tenant, model)


@pytest.mark.parametrize("tenant", ["", "Acme", "acme--eu", "acme-", "-acme", "a/b", "..", "1a", "a" * 25, "acme\n"])
def test_what_could_be_taken_for_another_is_no_tenant(tenant: str) -> None:
    assert not is_tenant(tenant)


def test_a_plain_name_belongs_to_all() -> None:
    assert (tenant_of("my-model"), model_of("my-model"), qualified("", "ncf")) == ("", "my-model", "ncf")
