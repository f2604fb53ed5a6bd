"""Which documents count. A signature says who wrote a policy; whether it makes sense is checked here once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct, field

from shieldwall.catalog.firewall.server import ServerEndpoints
from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.contract.settings import PolicyDocument, SettingInstance, walk
from shieldwall.contract.status import RefusedPolicy
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.applicability import chosen, parse_version, set_apart
from shieldwall.policy.outcomes import Reason


class Admission(Struct, frozen=True, kw_only=True):
    """Documents that count, those refused, and settings that do not apply here, with the policies that set them."""

    documents: tuple[PolicyDocument, ...] = ()
    refused: tuple[RefusedPolicy, ...] = ()
    inapplicable: Mapping[SettingId, tuple[Reason, tuple[PolicyId, ...]]] = field(default_factory=dict)
    readable: tuple[PolicyDocument, ...] = ()
    """The documents that count, without the settings that do not apply."""


class Gate(Struct, frozen=True, kw_only=True):
    """What documents are held against: the agent's own catalog, this platform, and the way to the server."""

    catalog: Catalog
    platform: str
    server: ServerEndpoints | None = None

    def admit(self, documents: Iterable[PolicyDocument], last_good: Iterable[PolicyDocument]) -> Admission:
        """Check each document by itself. In place of a refused one its last good revision goes on counting. Pure."""
        fallback = {document.policy_id: document for document in last_good}
        admitted: list[PolicyDocument] = []
        readable: list[PolicyDocument] = []
        refused: list[RefusedPolicy] = []
        inapplicable: dict[SettingId, tuple[Reason, tuple[PolicyId, ...]]] = {}
        for document in sorted(documents, key=lambda document: document.policy_id):
            refusal = self._refusal(document)
            counting: PolicyDocument | None = document
            if refusal is not None:
                refused.append(refusal)
                counting = fallback.get(document.policy_id)
            if counting is None or self._refusal(counting) is not None:
                continue
            whole, others, reason = self._divided(counting)
            admitted.append(counting)
            readable.append(msgspec.structs.replace(counting, settings=whole))
            for part in walk(others):
                _, policies = inapplicable.get(part.definition, (reason, ()))
                if counting.policy_id not in policies:
                    inapplicable[part.definition] = reason, (*policies, counting.policy_id)
        return Admission(
            documents=tuple(admitted), refused=tuple(refused), inapplicable=inapplicable, readable=tuple(readable)
        )

    def _refusal(self, document: PolicyDocument) -> RefusedPolicy | None:
        whole, others, _ = self._divided(document)
        if others and not whole:
            return None  # nothing of it applies here, so there is nothing to check
        findings = validate(
            self.catalog, document.template_id, document.platforms, document.technologies, whole, server=self.server
        )
        if not findings:
            return None
        return RefusedPolicy(
            policy_id=document.policy_id,
            digest=digest_of(document),
            code=findings[0].code,
            cause=f"{findings[0].path}: {findings[0].message}"[:1024],
        )

    def _divided(
        self, document: PolicyDocument
    ) -> tuple[tuple[SettingInstance, ...], tuple[SettingInstance, ...], Reason]:
        """Set apart what does not apply: all of a policy for another platform, and what a newer catalog brought.

        A document of our own catalog, or of an older one, has no excuse for a setting that nobody knows.
        """
        if self.platform not in document.platforms.split(","):
            return (), document.settings, Reason.OTHER_PLATFORM
        if not self._is_newer(document):
            return document.settings, (), Reason.AGENT_TOO_OLD
        if document.template_id not in self.catalog.templates:
            return (), document.settings, Reason.AGENT_TOO_OLD
        whole, others = set_apart(document.settings, self._knows)
        return whole, others, Reason.AGENT_TOO_OLD

    def _knows(self, part: SettingInstance) -> bool:
        definition = self.catalog.definitions.get(part.definition)
        return definition is not None and all(definition.option(item_id) for item_id in chosen(part))

    def _is_newer(self, document: PolicyDocument) -> bool:
        own, other = parse_version(self.catalog.version), parse_version(document.catalog_version)
        return own is not None and other is not None and other > own
