from __future__ import annotations

import pytest

from canvas_app.errors import NotConfigured, SecretLost
from canvas_app.vault import Vault


def test_what_was_sealed_is_opened_and_cannot_be_read_without_the_key() -> None:
    sealed = Vault(["key"]).seal("pk_live_schlüssel")
    assert Vault(["key"]).open(sealed) == "pk_live_schlüssel"
    assert "pk_live" not in sealed
    assert sealed.isascii()
    assert Vault(["key"]).seal("pk_live_schlüssel") != sealed, "two equal secrets do not look alike"


def test_every_listed_key_opens_and_the_newest_seals() -> None:
    sealed = Vault(["old"]).seal("secret")
    assert Vault(["new", "old"]).open(sealed) == "secret"
    renewed = Vault(["new", "old"]).renewed(sealed)
    assert renewed is not None
    assert Vault(["new"]).open(renewed) == "secret"
    assert Vault(["new", "old"]).renewed(renewed) is None, "it is sealed with the newest key already"


@pytest.mark.parametrize("sealed", ["", "nonsense", "gAAAAA", "é"])
def test_what_nobody_has_sealed_is_lost(sealed: str) -> None:
    with pytest.raises(SecretLost) as lost:
        Vault(["key"]).open(sealed)
    assert lost.value.reason == "secret_lost"


def test_with_a_dropped_key_it_is_lost() -> None:
    sealed = Vault(["dropped"]).seal("secret")
    with pytest.raises(SecretLost):
        Vault(["new"]).open(sealed)
    with pytest.raises(SecretLost):
        Vault(["new"]).renewed(sealed)


@pytest.mark.parametrize("keys", [[], [""], [" "]])
def test_without_a_key_nothing_is_sealed(keys: list[str]) -> None:
    with pytest.raises(NotConfigured, match="SECRET_KEY"):
        Vault(keys).seal("secret")
    with pytest.raises(NotConfigured, match="SECRET_KEY"):
        Vault(keys).open("sealed")


def test_the_key_of_a_link_does_not_open_it() -> None:
    # Derived for this purpose alone: what signs links is another key.
    sealed = Vault(["key"]).seal("secret")
    with pytest.raises(SecretLost):
        Vault(["koji-for-intercom"]).open(sealed)
