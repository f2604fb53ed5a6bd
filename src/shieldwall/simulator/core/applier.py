"""The applier of a simulated device: it believes what verifies and nothing else; its products are a table in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from shieldwall.agent.applier.authority import BEFORE_ALL_EXPIRY, Claim
from shieldwall.agent.applier.examination import Examination, Surveyed
from shieldwall.agent.applier.pin import Authority, Device
from shieldwall.agent.applier.protocol import Happened, Outcome, Standing
from shieldwall.agent.applier.refusals import NotPinnedError
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.service.enforcer import Policies
from shieldwall.contract.clock import Clock
from shieldwall.contract.events import MAX_EVENTS
from shieldwall.contract.ids import Digest, KeyThumbprint, SettingId, TenantId
from shieldwall.contract.messages import Envelope, Manifest
from shieldwall.contract.settings import ChoiceSetting, PolicyDocument, SettingInstance, SimpleSetting
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.trust import strict_base64
from shieldwall.trust.device_key import public_key_from_bytes, thumbprint
from shieldwall.trust.verification import open_manifest, open_policy

_NOBODY: Final = Survey(managers=(), neighbours=())
PROVIDER: Final = "simulated"


@dataclass(slots=True)
class MemoryApplier:
    """Implements the agent's ``Enforcer``.

    ``took`` hears of every manifest that holds from now on, and of the version before. Settings in ``broken`` cannot be
    written: the device says so in its reports.
    """

    clock: Clock
    nonce: Callable[[], str]
    took: Callable[[Manifest, int], None] = lambda _manifest, _before: None
    authority: Authority | None = None
    device: Device | None = None
    version: int = 0
    target: Digest | None = None
    wanted: dict[str, object] = field(default_factory=dict)
    now: dict[str, object] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    repaired: frozenset[str] = frozenset()
    left: bool = False

    @property
    def obeys_at_once(self) -> bool:
        """See ``Enforcer.obeys_at_once``."""
        return True

    def start(self) -> None:
        """See ``Enforcer.start``."""

    def stop(self) -> Standing:
        """See ``Enforcer.stop``."""
        return self.look()

    def look(self) -> Standing:
        """See ``Enforcer.look``."""
        return Standing(
            nonce=self.nonce(),
            tenant_id=None if self.authority is None else self.authority.tenant_id,
            device=self.device,
            manifest_version=self.version,
            enforced=self.target,
        )

    def adopt(self, *, authority: Authority | None = None, claim: Claim | None = None) -> None:
        """See ``Enforcer.adopt``."""
        if authority is not None:
            self.authority = authority
        if claim is not None and self.authority is not None:
            self.device = Device(id=claim.id, key=_thumbprint(claim))

    def enforce(self, manifest: Envelope, policies: Policies, *, time: Envelope | None = None) -> Outcome:
        """See ``Enforcer.enforce``. Raises: RefusedDocumentError."""
        del time
        opened = self._opened(manifest)
        wanted: dict[str, object] = {}
        for item in opened.items:
            envelope = policies(item.digest)
            assert envelope is not None, "the agent hands over a manifest once it has all policies of it"
            assert self.authority is not None
            document = open_policy(envelope, self.authority.trust_root, item, self.authority.tenant_id)
            wanted |= _values(document)
        before, self.version, self.target = self.version, opened.manifest_version, opened.target
        self.wanted = wanted
        self.now = {name: value for name, value in wanted.items() if name not in self.broken}
        self.repaired = frozenset()
        self.took(opened, before)
        return Outcome(report=self._report())

    def refresh(self) -> Outcome:
        """See ``Enforcer.refresh``."""
        if self.target is None:
            return Outcome()
        right = {name: value for name, value in self.wanted.items() if name not in self.broken}
        self.repaired = frozenset(name for name, value in right.items() if self.now.get(name) != value)
        self.now = right
        return Outcome(report=self._report())

    def confirm(self, statement: Envelope) -> None:
        """See ``Enforcer.confirm``: no change waits here."""

    def release(
        self, *, manifest: Envelope | None = None, package: Envelope | None = None, time: Envelope | None = None
    ) -> None:
        """See ``Enforcer.release``."""
        del manifest, package, time
        self.wanted, self.now, self.target, self.left = {}, {}, None, True

    def examine(
        self,
        *,
        with_facts: bool = False,
        tenant_id: TenantId | None = None,
        with_sources: bool = False,
        inspect: Literal["checks", "bundle"] | None = None,
    ) -> Examination:
        """See ``Enforcer.examine``."""
        del with_facts, tenant_id, with_sources, inspect
        return Examination(survey=Surveyed.of(_NOBODY))

    def events(self, *, acknowledged: str | None = None, most: int = MAX_EVENTS) -> Happened:
        """See ``Enforcer.events``: nothing happens here that is told apart."""
        del acknowledged, most
        return Happened()

    def meddle(self) -> None:
        """Change a setting, as somebody at the device would."""
        if self.now:
            self.now[min(self.now)] = "changed by hand"

    def _opened(self, envelope: Envelope) -> Manifest:
        if self.authority is None or self.device is None:
            raise NotPinnedError("Nobody has said whom this device obeys.")
        return open_manifest(
            envelope,
            self.authority.trust_root,
            tenant_id=self.authority.tenant_id,
            device_id=self.device.id,
            device_key=self.device.key,
            last_version=self.version - 1,  # the very same one again is no step back
            now=BEFORE_ALL_EXPIRY,
        )

    def _report(self) -> StatusReport:
        return StatusReport(target=self.target, settings=tuple(map(self._status, sorted(self.wanted))))

    def _status(self, name: str) -> SettingStatus:
        value = self.wanted[name]
        if name in self.broken:
            return SettingStatus(
                setting=SettingId(name),
                state=SettingState.ERROR,
                provider=PROVIDER,
                code="writeFailed",
                reason="The file is read-only.",
                value=value,
            )
        return SettingStatus(
            setting=SettingId(name),
            state=SettingState.SUCCEEDED,
            provider=PROVIDER,
            code="repaired" if name in self.repaired else None,
            value=value,
            read_back=value,
            written=True,
            effective=True,
        )


def _values(document: PolicyDocument) -> dict[str, object]:
    return {setting.definition: _value(setting) for setting in document.settings}


def _value(setting: SettingInstance) -> object:
    match setting:
        case SimpleSetting():
            return setting.value.value
        case ChoiceSetting():
            return setting.value.value
        case _:
            return setting.definition  # lists and groups: what they hold makes no difference here


def _thumbprint(claim: Claim) -> KeyThumbprint:
    return thumbprint(public_key_from_bytes(strict_base64.decode(claim.public_key)))
