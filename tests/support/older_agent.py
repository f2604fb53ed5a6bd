"""What an agent of protocol 1 understands, word by word: it refuses every member that is not here.

``MESSAGES`` were recorded from a conversation of such an agent with its server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import DeviceIdField, Digest, DigestField, PackageIdField, TenantIdField, ThumbprintField
from shieldwall.contract.messages import Envelope, ManifestItem
from shieldwall.trust import strict_base64
from shieldwall.trust.onboarding import OnboardingKey
from shieldwall.trust.roots import TrustRoot

PROTOCOL: Final = 1
MESSAGES: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("older_messages.json").read_text())


class OlderManifest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    tenant_id: TenantIdField
    incarnation: int
    device_id: DeviceIdField
    device_key: ThumbprintField
    manifest_version: int
    issued: str
    expires: str
    target: DigestField
    items: tuple[ManifestItem, ...]
    conflict_rules: dict[ConflictFamily, ConflictRule] = {}


class OlderTarget(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    items: tuple[ManifestItem, ...]
    conflict_rules: dict[ConflictFamily, ConflictRule] = {}


class OlderPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    v: Literal[1] = 1
    tenant_id: TenantIdField
    package_id: PackageIdField
    server_urls: tuple[str, ...]
    tls_roots: tuple[str, ...] = ()
    trust_root: TrustRoot
    onboarding_key: OnboardingKey
    not_before: str
    not_after: str
    max_uses: int = 500
    allowed_platforms: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("linux",)
    tags: tuple[str, ...] = ()


def older_target(manifest: OlderManifest) -> Digest:
    """Name what a manifest wants enforced, as an agent of protocol 1 works it out and compares it."""
    rules = manifest.conflict_rules
    return strict_json.digest_of(OlderTarget(items=manifest.items, conflict_rules=rules) if rules else manifest.items)


def older_manifest(envelope: Envelope) -> OlderManifest:
    """Read a manifest as such an agent does: its members, and that they make up the target it names."""
    manifest = strict_json.decode(strict_base64.decode(envelope.payload), OlderManifest)
    assert manifest.target == older_target(manifest)
    return manifest


def older_package(envelope: Envelope) -> OlderPackage:
    """Read an onboarding package as such an agent does."""
    return strict_json.decode(strict_base64.decode(envelope.payload), OlderPackage)
