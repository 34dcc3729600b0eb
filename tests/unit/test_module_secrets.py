from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import FetchFailed, InvalidInstruction
from runtime.ids import RandomIds
from runtime.modules.around import Around
from runtime.modules.secrets import FUNCTIONS, look_up, mentions_secret, reveal
from runtime.testing import HandClock
from store.changes import apply


class Documents:
    def __init__(self) -> None:
        self.document: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        return self.document

    def change(self, op: str, path: tuple, value: Any = None) -> None:
        apply(self.document, op, path, value)


class Vault:
    """The secrets of one workspace, as one user after another sees them."""

    def __init__(self) -> None:
        self.documents, self.clock = Documents(), HandClock()

    def call(self, function: str, user: str | None = "ada", **parameters: Any) -> Any:
        return FUNCTIONS[function](parameters, Around(RandomIds(), self.clock, user, self.documents))

    def value(self, reference: str, user: str | None = "ada") -> str:
        return look_up(self.documents.document, reference, user_id=user, now=self.clock.now())


@pytest.fixture
def vault() -> Vault:
    return Vault()


def test_a_reference_tells_nothing_and_stands_for_the_value(vault: Vault) -> None:
    reference = vault.call("set", name="key", value="s3cret", scope="workspace")
    assert mentions_secret({"a": [f"x{reference}"]}) and "key" not in reference and "s3cret" not in reference
    assert vault.call("get", name="key", scope="workspace") == reference
    assert vault.value(reference) == vault.value(reference, None) == "s3cret"


def test_a_secret_of_a_user_is_that_users_alone(vault: Vault) -> None:
    reference = vault.call("set", name="key", value="of ada")
    other = vault.call("set", "bob", name="key", value="of bob")
    assert reference != other and vault.value(reference) == "of ada" and vault.value(other, "bob") == "of bob"
    assert vault.call("get", "eve", name="key") == {"error": "not_found"}
    for user in ("bob", None):
        with pytest.raises(FetchFailed):
            vault.value(reference, user)


def test_without_a_user_only_the_workspace_has_secrets(vault: Vault) -> None:
    for function in ("set", "get", "delete"):
        assert vault.call(function, None, name="key", value="x") == {"error": "user_required"}
    assert vault.call("set", None, name="key", value="x", scope="workspace").startswith("$secret:")


def test_a_new_value_keeps_the_reference(vault: Vault) -> None:
    reference = vault.call("set", name="key", value="old")
    assert vault.call("set", name="key", value={"new": 1}) == reference
    assert vault.value(reference) == '{"new":1}'


def test_a_secret_expires(vault: Vault) -> None:
    reference = vault.call("set", name="key", value="x", ttl=10)
    vault.clock.advance(9.9)
    assert vault.value(reference) == "x"
    vault.clock.advance(0.1)
    assert vault.call("get", name="key") == {"error": "not_found"}
    with pytest.raises(FetchFailed):
        vault.value(reference)
    assert vault.call("set", name="key", value="y") != reference


def test_a_deleted_secret_is_gone(vault: Vault) -> None:
    reference = vault.call("set", name="key", value="x")
    assert vault.call("delete", name="key") == {"deleted": True}
    assert vault.call("delete", name="key") == {"error": "not_found"}
    with pytest.raises(FetchFailed):
        vault.value(reference)


@pytest.mark.parametrize("value", [None, "", "x" * 20_001])
def test_a_value_that_is_none_or_too_large_is_not_kept(vault: Vault, value: Any) -> None:
    assert vault.call("set", name="key", value=value) == {"error": "invalid_value"}


def test_a_secret_needs_a_name(vault: Vault) -> None:
    with pytest.raises(InvalidInstruction):
        vault.call("set", value="x")


def test_references_are_revealed_wherever_they_stand(vault: Vault) -> None:
    reference = vault.call("set", name="key", value="x")
    value = {"a": [f"Bearer {reference}{reference}", 1, None], "$secret:": "$secret:short"}
    assert reveal(value, vault.value) == {"a": ["Bearer xx", 1, None], "$secret:": "$secret:short"}
    assert not mentions_secret({"a": "$secret:key", "b": [1, None, "secret"]})
