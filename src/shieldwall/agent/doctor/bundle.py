"""A zip for whoever helps: findings, what was received, desired and reported, our part of configurations, logs.

No keys, no tokens, no passwords, no names of people: the parts are chosen one by one, and each passes the redaction all
the same. A part that cannot be read is left out, and ``left-out.json`` says why.
"""

from __future__ import annotations

import io
import platform
import ssl
import zipfile
from collections.abc import Callable
from typing import Any, Final

import msgspec

from shieldwall import __version__
from shieldwall.agent.doctor.examine import Diagnosis
from shieldwall.agent.inspection import redaction
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.overview import effective, overview
from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Manifest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.strict_json import decode_any, encode

REDACTED: Final = redaction.REDACTED


def bundle(diagnosis: Diagnosis, *, running: bool, catalog: Catalog | None = None) -> bytes:
    """Pack what helps to help. Never raises for what is broken on the device."""
    surroundings, subject = diagnosis.subject.surroundings, diagnosis.subject
    state = surroundings.state
    left_out: dict[str, str] = {}

    def part(name: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except ShieldwallError as error:
            left_out[name] = error.cause
        except Exception as error:  # noqa: BLE001 - what is examined is broken, perhaps in ways nobody thought of
            left_out[name] = f"{type(error).__name__}: {error}"
        return None

    stored = part("manifest.json", lambda: _stored(surroundings))
    documents = () if stored is None else stored[1]
    known = redaction.secrets_in(_builtins(documents))
    parts: dict[str, Any] = {
        "doctor.json": {"checks": diagnosis.checks, "summary": diagnosis.summary},
        "status.json": part("status.json", lambda: overview(surroundings, running=running)),
        "facts.json": part("facts.json", surroundings.machine.facts),
        "versions.json": part("versions.json", lambda: _versions(surroundings)),
        "manifest.json": None if stored is None else stored[0],
        **{f"policies/{document.policy_id}.json": document for document in documents},
        "report.json": part("report.json", state.find_report),
        "inspection.json": msgspec.structs.replace(subject.inspection, exhibits={}),
        "applier.json": subject.standing,
    }
    if catalog is not None:
        parts["desired.json"] = part("desired.json", lambda: effective(surroundings, catalog))
    texts = {name: redaction.text(text, known=known) for name, text in subject.inspection.exhibits.items()}
    found = {name: _written(value, known) for name, value in parts.items() if value is not None}
    if left_out:
        found["left-out.json"] = _written(left_out, known)
    return _packed({**found, **{name.lstrip("/"): text.encode() for name, text in texts.items()}})


def _stored(surroundings: Surroundings) -> tuple[Manifest, tuple[PolicyDocument, ...]] | None:
    return None if surroundings.state.find_identity() is None else surroundings.enrolled().enforcement.stored()


def _versions(surroundings: Surroundings) -> dict[str, Any]:
    """Name the versions of what we are made of, and of the products."""
    return {
        "agent": __version__,
        "python": platform.python_version(),
        "tls": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "engines": dict(surroundings.machine.engines()),
    }


def _written(value: Any, known: frozenset[str]) -> bytes:
    return msgspec.json.format(encode(redaction.document(_builtins(value), known=known)), indent=2)


def _builtins(value: Any) -> Any:
    return decode_any(encode(value), max_depth=64)


def _packed(parts: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            # A fixed date: the same findings give the same bytes.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return target.getvalue()
