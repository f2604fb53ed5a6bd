"""Which documents count. A signature says who wrote a policy; whether it makes sense is checked here once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.contract.settings import PolicyDocument, SettingInstance, walk
from shieldwall.contract.status import RefusedPolicy
from shieldwall.contract.strict_json import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Documents that count, those refused, and settings only a newer agent knows, with the policies that set them."""

    documents: tuple[PolicyDocument, ...]
    refused: tuple[RefusedPolicy, ...]
    unknown: Mapping[SettingId, tuple[PolicyId, ...]]
    readable: tuple[PolicyDocument, ...]
    """The documents that count, without the settings that are unknown."""


def admit(catalog: Catalog, documents: Iterable[PolicyDocument], last_good: Iterable[PolicyDocument]) -> Admission:
    """Check each document by itself. In place of a refused one its last good revision goes on counting. Pure."""
    fallback = {document.policy_id: document for document in last_good}
    admitted: list[PolicyDocument] = []
    readable: list[PolicyDocument] = []
    refused: list[RefusedPolicy] = []
    unknown: dict[SettingId, tuple[PolicyId, ...]] = {}
    for document in sorted(documents, key=lambda document: document.policy_id):
        refusal = _refusal(catalog, document)
        counting: PolicyDocument | None = document
        if refusal is not None:
            refused.append(refusal)
            counting = fallback.get(document.policy_id)
        if counting is None or _refusal(catalog, counting) is not None:
            continue
        known, unreadable = _split(catalog, counting)
        admitted.append(counting)
        readable.append(msgspec.structs.replace(counting, settings=known))
        for instance in unreadable:
            unknown[instance.definition] = (*unknown.get(instance.definition, ()), counting.policy_id)
    return Admission(documents=tuple(admitted), refused=tuple(refused), unknown=unknown, readable=tuple(readable))


def _refusal(catalog: Catalog, document: PolicyDocument) -> RefusedPolicy | None:
    known, _ = _split(catalog, document)
    findings = validate(catalog, document.template_id, document.platforms, document.technologies, known)
    if not findings:
        return None
    return RefusedPolicy(
        policy_id=document.policy_id,
        digest=digest_of(document),
        code=findings[0].code,
        cause=f"{findings[0].path}: {findings[0].message}"[:1024],
    )


def _split(
    catalog: Catalog, document: PolicyDocument
) -> tuple[tuple[SettingInstance, ...], tuple[SettingInstance, ...]]:
    """Set apart what a newer catalog brought. A document of our own catalog has no excuse for an unknown setting.

    A setting with one unknown part counts as unknown as a whole: a firewall rule without the condition we cannot read
    would match more than its author meant.
    """
    if document.catalog_version == catalog.version:
        return document.settings, ()
    known: list[SettingInstance] = []
    unknown: list[SettingInstance] = []
    for instance in document.settings:
        readable = all(part.definition in catalog.definitions for part in walk((instance,)))
        (known if readable else unknown).append(instance)
    return tuple(known), tuple(unknown)
