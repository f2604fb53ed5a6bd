"""Ids are parsed where text comes in, into one spelling."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import (
    parse_assignment_filter_id,
    parse_device_id,
    parse_digest,
    parse_group_id,
    parse_package_id,
    parse_policy_id,
    parse_reusable_setting_id,
    parse_tenant_id,
)
from shieldwall.contract.strict_json import digest_of_bytes

PARSERS = [
    parse_tenant_id,
    parse_device_id,
    parse_group_id,
    parse_policy_id,
    parse_assignment_filter_id,
    parse_reusable_setting_id,
    parse_package_id,
]
EXAMPLE = "3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f"

Parser = Callable[[str], str]


@pytest.mark.parametrize("parse", PARSERS)
@given(identifier=st.uuids())
def test_every_uuid_is_an_id_in_lower_case(parse: Parser, identifier: UUID) -> None:
    assert parse(str(identifier)) == parse(str(identifier).upper()) == str(identifier)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE[:-1],
        EXAMPLE + "0",
        EXAMPLE + "\n",
        " " + EXAMPLE,
        EXAMPLE.replace("-", ""),
        "{" + EXAMPLE + "}",
        "urn:uuid:" + EXAMPLE,
        EXAMPLE.replace("3", "g"),
        EXAMPLE.replace("3", "٣"),
        EXAMPLE.replace("-", "\u2010"),
        "../" + EXAMPLE,
        EXAMPLE[:-1] + "\x00",
        "K" + EXAMPLE[1:],
    ],
)
def test_anything_else_is_not(parse: Parser, text: str) -> None:
    with pytest.raises(InvalidIdError) as raised:
        parse(text)

    assert raised.value.code == "invalidId"
    assert raised.value.advice


@given(st.binary(max_size=64))
def test_a_digest_is_its_hexadecimal_digits(data: bytes) -> None:
    digest = digest_of_bytes(data)

    assert parse_digest(digest) == digest


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", "sha256:" + "0" * 64])
def test_anything_else_is_not_a_digest(text: str) -> None:
    with pytest.raises(InvalidIdError):
        parse_digest(text)
