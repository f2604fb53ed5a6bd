"""What is held: what policies ask for, or something else where a part of that is held back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from shieldwall.agent.applier.admission import Admission, Gate
from shieldwall.agent.applier.confirming import ROLLED_BACK
from shieldwall.agent.applier.plan import Share, held_back, share_out
from shieldwall.agent.applier.sources import Product
from shieldwall.agent.applier.state import Fallen, Policies, Stage, State, Terms
from shieldwall.agent.applier.strengthening import only_strengthening
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Other, Provider, ShowsLocal, TellsOthers
from shieldwall.catalog.firewall.server import ServerEndpoints
from shieldwall.catalog.model import Catalog
from shieldwall.contract.conflicts import ConflictRules
from shieldwall.contract.ids import Digest, SettingId
from shieldwall.policy.resolve import EffectivePolicy, resolve


class Recent(Struct, kw_only=True):
    """What was worked out last, of the very same policies: a look for drift every minute asks nothing else."""

    policies: Policies | None = None
    admission: Admission | None = None
    asked: EffectivePolicy | None = None


class Choosing(Struct, frozen=True, kw_only=True):
    """What is needed to choose."""

    host: Host
    providers: Sequence[Provider]
    catalog: Catalog
    platform: str
    recent: Recent = field(default_factory=Recent)

    def gate(self, terms: Terms) -> Gate:
        """Make what documents are held against on these terms."""
        server = ServerEndpoints.of(terms.server_urls) if terms.server_urls else None
        return Gate(catalog=self.catalog, platform=self.platform, server=server)

    def shares(self, asked: EffectivePolicy, wanted: State) -> tuple[tuple[Share, ...], EffectivePolicy]:
        """Share out what is asked, or what is held instead of it; return also all settings to be reported."""
        shares = share_out(self.host, self.providers, asked)
        shown = dict(asked.settings)
        if (fallen := wanted.footing.fallen) is not None:
            instead = self._after_fall(fallen, asked, wanted.aim)
            former = share_out(self.host, self.providers, instead)
            shares = tuple(held_back(*pair, fallen.stage) for pair in zip(shares, former, strict=True))
            shown = {**instead.settings, **shown}
        if (held := wanted.held_back) is not None:
            instead = self.resolved(held.instead)
            former = share_out(self.host, self.providers, instead)
            shares = tuple(
                held_back(share, other, ROLLED_BACK) if share.provider.name in held.providers else share
                for share, other in zip(shares, former, strict=True)
            )
            kept = {setting for share in shares for setting in share.desired}
            shown = {**{name: each for name, each in instead.settings.items() if name in kept}, **shown}
        return shares, EffectivePolicy(settings=shown)

    def _after_fall(self, fallen: Fallen, asked: EffectivePolicy, aim: Digest) -> EffectivePolicy:
        """Choose after crashes: for the target that failed what was good; of others in safe mode what strengthens."""
        if fallen.target == aim:
            return self.resolved(fallen.instead)
        if fallen.stage is Stage.SAFE_MODE:
            return only_strengthening(self.catalog, self.resolved(fallen.instead), asked)
        return asked

    def product(self, share: Share, state: State) -> Product:
        """Look what a provider holds, and could hold here; of one that fails, nothing but what is asked of it."""
        provider, managed = share.provider, state.providers.get(share.provider.name)
        found: Desired = {}
        local: Desired = {}
        supported: frozenset[SettingId] = frozenset()
        others: Mapping[SettingId, Other] = {}
        with contextlib.suppress(Exception):  # whatever it is, the others are worth showing
            evidence = provider.evidence() if isinstance(provider, TellsOthers) else ()
            files = {path: self.host.read_file(path) for path in (*provider.files(), *evidence)}
            found = provider.read(files)
            ours = share.desired.keys()
            local = (
                provider.local(files, managed.kept if managed else {})
                if isinstance(provider, ShowsLocal)
                else {setting: value for setting, value in found.items() if setting not in ours}
            )
            if isinstance(provider, TellsOthers):
                others = provider.others(files, managed.kept if managed else {})
            supported = frozenset(
                setting
                for setting, definition in self.catalog.definitions.items()
                if not definition.depends_on
                and (answer := provider.support(self.host, setting)) is not None
                and answer.applicable
            )
        return Product(
            name=provider.name, desired=share.desired, found=found, local=local, supported=supported, others=others
        )

    def resolved(self, policies: Policies) -> EffectivePolicy:
        """Bring together the policies that were enforced on these terms."""
        return self.resolve(self.admitted(policies), policies.terms.conflict_rules)

    def admitted(self, policies: Policies) -> Admission:
        """Hold policies that are enforced already against what the catalog knows."""
        recent = self.recent
        if recent.admission is None or recent.policies != policies:
            recent.admission = self.gate(policies.terms).admit(policies.documents, ())
            recent.policies, recent.asked = policies, None
        return recent.admission

    def resolve(self, admission: Admission, rules: ConflictRules) -> EffectivePolicy:
        """Bring together what was admitted."""
        recent = self.recent
        if (
            recent.policies is None
            or admission is not recent.admission
            or rules != recent.policies.terms.conflict_rules
        ):
            return resolve(self.catalog, admission.readable, rules)
        if recent.asked is None:
            recent.asked = resolve(self.catalog, admission.readable, rules)
        return recent.asked
