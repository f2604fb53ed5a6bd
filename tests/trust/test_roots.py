"""The trust root refuses to contradict itself."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.trust import DEVICE, NOON, TENANT

import shieldwall
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.trust import strict_base64
from shieldwall.trust.certificates import DeviceAuthority
from shieldwall.trust.device_key import DeviceKey
from shieldwall.trust.dsse import EnvelopeKey
from shieldwall.trust.roots import InvalidTrustRootError, Role, RoleKeys, TrustRoot, role_keys

SOURCE = Path(shieldwall.__file__).parent


def edited(root: TrustRoot, role: str = "policy", **members: Any) -> bytes:
    document = msgspec.to_builtins(root)
    document["roles"][role] |= members
    return strict_json.encode(document)


def test_a_root_survives_its_way_over_the_wire(root: TrustRoot) -> None:
    assert strict_json.decode(strict_json.encode(root), TrustRoot) == root


def test_every_role_has_keys_of_its_own(root: TrustRoot) -> None:
    names = [keyid for role in Role for keyid in root.keys(role)]

    assert len(names) == len(set(names)) == 4
    assert {root.threshold(role) for role in Role} == {1}


def test_one_key_under_two_names_is_refused(root: TrustRoot) -> None:
    key = EnvelopeKey.generate().public
    text = strict_base64.encode(key.raw)

    with pytest.raises(InvalidTrustRootError, match="another name"):
        strict_json.decode(edited(root, keys={key.keyid: text, "0" * 64: text}, threshold=2), TrustRoot)


def test_one_key_in_two_roles_is_refused(root: TrustRoot) -> None:
    keys = msgspec.to_builtins(root.roles.manifest)["keys"]

    with pytest.raises(InvalidTrustRootError, match="another role"):
        strict_json.decode(edited(root, keys=keys), TrustRoot)


@pytest.mark.parametrize("keys", [0, 1])
def test_a_threshold_out_of_reach_is_refused(root: TrustRoot, keys: int) -> None:
    some = msgspec.to_builtins(role_keys(*(EnvelopeKey.generate().public for _ in range(keys))))["keys"]

    with pytest.raises(InvalidTrustRootError, match="more signatures"):
        strict_json.decode(edited(root, keys=some, threshold=keys + 1), TrustRoot)


@pytest.mark.parametrize("threshold", [0, -1, 17, 1.0, "1", True])
def test_a_threshold_is_a_small_positive_number(root: TrustRoot, threshold: object) -> None:
    with pytest.raises(InvalidJsonError):
        strict_json.decode(edited(root, threshold=threshold), TrustRoot)


@pytest.mark.parametrize("text", ["", "AAAA", "%", "A" * 43, "A" * 44 + "\n"])
def test_what_is_no_key_is_refused(root: TrustRoot, text: str) -> None:
    with pytest.raises(InvalidTrustRootError):
        strict_json.decode(edited(root, keys={"0" * 64: text}), TrustRoot)


def test_a_missing_or_unknown_role_is_refused(root: TrustRoot) -> None:
    document = msgspec.to_builtins(root)
    for roles in (
        {name: keys for name, keys in document["roles"].items() if name != "time"},
        document["roles"] | {"emergency": document["roles"]["time"]},
    ):
        with pytest.raises(InvalidJsonError):
            strict_json.decode(strict_json.encode(document | {"roles": roles}), TrustRoot)


def test_a_device_authority_is_a_p256_certificate_authority(root: TrustRoot) -> None:
    leaf = DeviceAuthority.create(TENANT, NOON).issue(DeviceKey.generate().public_key, TENANT, DEVICE, NOON)
    document = msgspec.to_builtins(root)

    for pem in ("x" * 64, leaf, "é" * 64):
        with pytest.raises(InvalidTrustRootError):
            strict_json.decode(
                strict_json.encode(document | {"deviceAuthorities": [pem]}), TrustRoot
            ).check_authorities()
    root.check_authorities()
    with pytest.raises(InvalidJsonError):
        strict_json.decode(strict_json.encode(document | {"deviceAuthorities": []}), TrustRoot)


def test_a_device_authority_that_was_kept_unchecked_is_checked_before_anybody_verifies_with_it(root: TrustRoot) -> None:
    document = msgspec.to_builtins(root)
    kept = strict_json.decode(strict_json.encode(document | {"deviceAuthorities": ["x" * 64]}), TrustRoot)

    with pytest.raises(InvalidTrustRootError):
        kept.authorities()
    assert [each.public_bytes(Encoding.PEM).decode() for each in root.authorities()] == list(root.device_authorities)


def test_nobody_reads_device_authorities_past_their_check() -> None:
    readers = {
        str(module.relative_to(SOURCE))
        for module in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "device_authorities"
    }

    assert readers == {"trust/roots.py"}


def test_too_many_keys_are_refused() -> None:
    many = {f"{number:064x}": "x" for number in range(17)}

    with pytest.raises(InvalidJsonError):
        strict_json.decode(strict_json.encode({"keys": many, "threshold": 1}), RoleKeys)
