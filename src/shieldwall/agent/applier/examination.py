"""What the applier tells the agent about the machine, because root alone can see it; and the survey as it travels."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

import msgspec

from shieldwall.agent.applier.sources import SettingSource
from shieldwall.agent.host.suitability import Sign
from shieldwall.agent.host.survey import Finding, Survey
from shieldwall.agent.inspection.model import Inspection
from shieldwall.contract.messages import DeviceFacts, HardwareIds, ManagerKind, Unsuitable

_Text = Annotated[str, msgspec.Meta(max_length=4096)]


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Another product, by the path that gives it away."""

    product: _Text
    evidence: _Text
    kind: ManagerKind | None = None

    @classmethod
    def of(cls, finding: Finding) -> Found:
        """Write down a finding."""
        return cls(product=finding.product, evidence=str(finding.evidence), kind=finding.kind)

    def read(self) -> Finding:
        """Return the finding."""
        return Finding(product=self.product, evidence=PurePosixPath(self.evidence), kind=self.kind)


class Noted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A sign of what kind of machine this is."""

    finding: _Text
    evidence: _Text
    kind: Unsuitable | None = None

    @classmethod
    def of(cls, sign: Sign | None) -> Noted | None:
        """Write down a sign, if there is one."""
        return None if sign is None else cls(finding=sign.finding, evidence=sign.evidence, kind=sign.kind)

    def read(self) -> Sign:
        """Return the sign."""
        return Sign(kind=self.kind, finding=self.finding, evidence=self.evidence)


class Surveyed(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """A survey as it travels from the applier to the agent."""

    managers: tuple[Found, ...] = ()
    neighbours: tuple[Found, ...] = ()
    unsuitable_sign: Noted | None = None
    domain_controller_sign: Noted | None = None

    @classmethod
    def of(cls, found: Survey) -> Surveyed:
        """Write down a survey."""
        return cls(
            managers=tuple(map(Found.of, found.managers)),
            neighbours=tuple(map(Found.of, found.neighbours)),
            unsuitable_sign=Noted.of(found.unsuitable_sign),
            domain_controller_sign=Noted.of(found.domain_controller_sign),
        )

    def read(self) -> Survey:
        """Return the survey."""
        unsuitable, controller = self.unsuitable_sign, self.domain_controller_sign
        return Survey(
            managers=tuple(found.read() for found in self.managers),
            neighbours=tuple(found.read() for found in self.neighbours),
            unsuitable_sign=None if unsuitable is None else unsuitable.read(),
            domain_controller_sign=None if controller is None else controller.read(),
        )


class Examination(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """The survey; where asked for, facts with its finding in them, and the hardware's hashes for one tenant.

    ``engines`` goes with the facts and names every product that could be steered, with its version where it is here.
    """

    survey: Surveyed
    facts: DeviceFacts | None = None
    hardware: HardwareIds | None = None
    engines: dict[str, str | None] = {}
    sources: tuple[SettingSource, ...] = ()
    """Where it is asked for: of every setting that could be held here, whose its value is."""
    inspection: Inspection | None = None
    """What the doctor asks for beside that."""
