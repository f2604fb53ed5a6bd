"""A zip for whoever helps: findings, standing, policies as received, the last report. No keys, no secrets."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import msgspec

from shieldwall.agent.doctor.model import Check
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.overview import overview
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.strict_json import encode

REDACTED = "(redacted)"


def bundle(surroundings: Surroundings, checks: tuple[Check, ...], *, running: bool) -> bytes:
    """Pack what helps to help. Raises: StateCorruptError, HostError."""
    state = surroundings.state
    parts: dict[str, Any] = {"doctor.json": checks, "status.json": overview(surroundings, running=running)}
    parts["facts.json"] = surroundings.machine.facts()
    if state.find_identity() is not None:
        stored = surroundings.enrolled().enforcement.stored()
        if stored is not None:
            parts["manifest.json"] = stored[0]
            for document in stored[1]:
                parts[f"policies/{document.policy_id}.json"] = _without_secrets(document)
    report = state.find_report()
    if report is not None:
        parts["report.json"] = report
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            # A fixed date: the same findings give the same bytes.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, msgspec.json.format(encode(part), indent=2))
    return target.getvalue()


def _without_secrets(document: PolicyDocument) -> Any:
    return _redacted(msgspec.to_builtins(document))


def _redacted(value: Any) -> Any:
    match value:
        case {"kind": "secret", "value": _}:
            return value | {"value": REDACTED}
        case dict():
            return {name: _redacted(member) for name, member in value.items()}
        case list() | tuple():
            return [_redacted(item) for item in value]
        case _:
            return value
