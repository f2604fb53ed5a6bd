"""Secrets of policies: outside they are known by tokens, devices alone get them.

A token comes back in the place of its secret, and the secret stays. Equal secrets of a tenant have one token, so that
sending a secret again is no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection

from shieldwall.catalog.findings import Finding
from shieldwall.contract.settings import SimpleValue
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.rewriting import Settings, rewritten
from shieldwall.server.storage.policies import secrets

TOKEN: Final = "encryptedValueToken"  # noqa: S105 - the name of a state, not a secret
"""The state of a value that is the token of a secret."""
_INVALID: Final = "invalid"
"""The state of a value of which its sender says that it is neither."""


def is_token(value: SimpleValue) -> bool:
    """Whether a value stands for a secret without being one."""
    return value.kind == "secret" and value.state == TOKEN


def tokens_in(settings: Settings) -> frozenset[str]:
    """Return every token that stands for a secret."""
    found: set[str] = set()

    def note(_: str, value: SimpleValue) -> SimpleValue:
        if is_token(value):
            found.add(str(value.value))
        return value

    rewritten(settings, note)
    return frozenset(found)


def revealed(settings: Settings, values: Mapping[str, str]) -> tuple[Settings, tuple[Finding, ...]]:
    """Put the secrets in the places of their tokens; what stands for no secret is a finding."""
    findings: list[Finding] = []

    def reveal(path: str, value: SimpleValue) -> SimpleValue:
        if value.kind != "secret":
            return value
        if value.state == _INVALID or (is_token(value) and value.value not in values):
            message = "No secret of this tenant is known by this token."
            findings.append(Finding(path, "unknownSecret", message, "The secret itself, or a token read from here."))
        elif is_token(value):
            value = msgspec.structs.replace(value, value=values[str(value.value)])
        return msgspec.structs.replace(value, state=None)

    return rewritten(settings, reveal), tuple(findings)


def sealed(connection: Connection, acting: Acting, settings: Settings) -> Settings:
    """Keep every secret that stands there itself, and put its token in its place."""

    def seal(_: str, value: SimpleValue) -> SimpleValue:
        if value.kind != "secret" or is_token(value):
            return value  # what is in neither state never gets here: it was refused
        return msgspec.structs.replace(value, value=_token(connection, acting, str(value.value)), state=TOKEN)

    return rewritten(settings, seal)


def concealed(settings: Settings) -> Settings:
    """Take away every secret that stands there itself; what is left in its place cannot be saved as one."""

    def conceal(_: str, value: SimpleValue) -> SimpleValue:
        if value.kind != "secret" or is_token(value):
            return value
        return msgspec.structs.replace(value, value="", state=_INVALID)

    return rewritten(settings, conceal)


def _token(connection: Connection, acting: Acting, value: str) -> str:
    token = secrets.find_token(connection, acting.tenant_id, value)
    if token is None:
        token = acting.new_id()
        secrets.add(connection, acting.tenant_id, token, value)
    return token
