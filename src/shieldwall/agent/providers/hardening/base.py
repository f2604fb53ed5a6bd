"""What all providers of attack surface reduction share: settings in, files held, settings read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, Literal

from msgspec import Struct

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import audit_loading
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Support
from shieldwall.agent.providers.hardening.held import hold, unmanaged
from shieldwall.agent.providers.hardening.rules import EVERY_RULE, Mode, Rules, Vocabulary
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue

UNAVAILABLE: Final = "engineUnavailable"
"""Code: the kernel, or a program, that a rule needs is not on this device."""
NOT_BUILT: Final = "notEnforceable"
"""Code: nothing on Linux does what this mode of the rule means without doing harm beside."""

_OFF: Final = Observation(effective=None, code="off", reason="The rule is off; what holds is what holds without us.")
_PART: Final = Observation(effective=None, code="partOfRule", reason="It shows in the rule that it belongs to.")


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a mode of a rule, or one entry of a list, is not carried out."""

    code: str
    reason: str
    state: Literal[SettingState.NOT_APPLICABLE, SettingState.ERROR] = SettingState.NOT_APPLICABLE

    def status(self, item: str) -> ItemStatus:
        """Say it of an item."""
        return ItemStatus(item=item[:1024], state=self.state, code=self.code, reason=self.reason)


class HardeningProvider(ABC):
    """A provider for some of the rules; each rule belongs to exactly one."""

    rules: frozenset[str] = frozenset()
    """The rules that are this provider's."""

    def __init__(self, catalog: Catalog) -> None:
        self._words = Vocabulary.of(catalog)

    @property
    @abstractmethod
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""

    @abstractmethod
    def product_version(self, host: Host) -> str | None:
        """Return a version or state in a word; ``None`` when there is nothing here to manage."""

    @abstractmethod
    def owned(self) -> tuple[PurePosixPath, ...]:
        """Return the files beside ``memory`` that this provider writes, or whose content tells what is there."""

    @abstractmethod
    def contents(self, files: Files, rules: Rules) -> Mapping[PurePosixPath, bytes]:
        """Compute what the files hold for ``rules``, given the files as they are without us. Pure."""

    @abstractmethod
    def refusal(self, files: Files, rule: str, mode: Mode, rules: Rules) -> Refusal | None:
        """Say why a rule cannot be carried out in this mode; ``None`` when it can. Pure; never asked for off."""

    @abstractmethod
    def take(self, host: Host, rules: Rules) -> None:
        """Make the device do what the files say. Raises: ProviderError."""

    @abstractmethod
    def effect(self, host: Host, rule: str, rules: Rules) -> Observation:
        """Look for the effect of a rule that is not off; never raises ``HostError`` for what is merely missing."""

    def entry_refusal(self, rule: str, entry: str, *, exclusion: bool) -> Refusal | None:  # noqa: ARG002
        """Say why one entry of a list of a rule is not taken; ``None`` when it is. Pure."""
        return None

    def held(self, files: Files, rules: Rules) -> frozenset[str]:
        """Return the rules that the files hold. Pure."""
        wanted = self.contents(files, rules)
        is_whole = all(files.get(path) == content for path, content in wanted.items())
        return frozenset({*self.rules, EVERY_RULE}) if is_whole else frozenset()

    def lacking(self, host: Host, rule: str) -> str | None:  # noqa: ARG002
        """Say what is missing without which a rule can be carried out in no mode; ``None`` when nothing is."""
        return None

    def stuck(self, files: Files) -> frozenset[PurePosixPath]:  # noqa: ARG002
        """Return the values that the kernel keeps until the next restart. Pure."""
        return frozenset()

    @property
    def memory(self) -> PurePosixPath:
        """The file that says which settings the other files were made from."""
        return PurePosixPath(f"/etc/shieldwall/hardening-{self.name}.json")

    @property
    def takes_exclusions_of_all(self) -> bool:
        """Whether exclusions from all rules mean something for one of ours."""
        return True

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Claim our rules and their parts, where at least one mode can be carried out."""
        rule = self._words.rule_of(setting)
        if rule not in self.rules and not (rule == EVERY_RULE and self.takes_exclusions_of_all):
            return None
        if (lack := self.lacking(host, rule or EVERY_RULE)) is not None:
            return Support(applicable=False, reason=f"Engine unavailable: {lack}")
        if rule == EVERY_RULE:
            return Support(applicable=True)
        files = {path: host.read_file(path) for path in self.files()}
        refusals = [self.refusal(files, rule, mode, Rules()) for mode in (Mode.BLOCK, *self._audit_of(rule))]
        if any(refusal is None for refusal in refusals):
            return Support(applicable=True)
        reasons = dict.fromkeys(refusal.reason for refusal in refusals if refusal is not None)
        return Support(applicable=False, reason=" ".join(reasons))

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the memory, then every file that is written or tells what is there."""
        return (self.memory, *self.owned())

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold ``desired``. Pure."""
        stuck = self.stuck(files)
        if not desired:
            given_back, keep = hold(files, {}, kept, stuck=stuck)
            return Rendered(files=given_back, kept=keep)
        before = unmanaged(files, kept, stuck=stuck)
        accepted, rejected = self._sorted_out(before, desired)
        rules = self._words.parse(accepted)
        contents = {**self.contents(before, rules), self.memory: self._words.remember(accepted)}
        held, keep = hold(files, contents, kept, stuck=stuck)
        return Rendered(files=held, kept=keep, rejected=rejected)

    def read(self, files: Files) -> Desired:
        """Read the settings whose rules the files really hold. Pure."""
        accepted = self._words.remembered(files.get(self.memory))
        if not accepted:
            return {}
        held = self.held(files, self._words.parse(accepted))
        return {setting: value for setting, value in accepted.items() if self._words.rule_of(setting) in held}

    def activate(self, host: Host) -> None:
        """Make the device do what the files say; without the memory, let go. Raises: ProviderError, HostError."""
        self.take(host, self._words.parse(self._words.remembered(host.read_file(self.memory))))

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Look for the effect of each rule that the memory names; its parts show in it."""
        try:
            accepted = self._words.remembered(host.read_file(self.memory))
            rules = self._words.parse(accepted)
            return {setting: self._observation(host, setting, accepted, rules) for setting in desired}
        except HostError as error:
            return dict.fromkeys(desired, Observation(effective=None, code=error.code, reason=error.cause[:512]))

    def _observation(self, host: Host, setting: SettingId, accepted: Desired, rules: Rules) -> Observation:
        rule = self._words.rule_of(setting) or ""
        if not self._words.is_rule(setting) or setting not in accepted:
            return _PART
        return _OFF if rules.mode(rule) is Mode.OFF else self.effect(host, rule, rules)

    def _audit_of(self, rule: str) -> tuple[Mode, ...]:
        definition = next(
            self._words.catalog.definition(setting)
            for setting in self._words.places
            if self._words.is_rule(setting) and self._words.rule_of(setting) == rule
        )
        return (Mode.AUDIT,) if any(option.value == Mode.AUDIT for option in definition.options) else ()

    def _sorted_out(self, files: Files, desired: Desired) -> tuple[Desired, Mapping[SettingId, tuple[ItemStatus, ...]]]:
        """Part what can be carried out from what cannot; a rule that is refused takes its parts along."""
        rules = self._words.parse(desired)
        refused = {
            rule: refusal
            for rule, mode in rules.modes.items()
            if mode is not Mode.OFF and (refusal := self.refusal(files, rule, mode, rules)) is not None
        }
        accepted: dict[SettingId, SettingValue] = {}
        rejected: dict[SettingId, tuple[ItemStatus, ...]] = {}
        for setting, value in desired.items():
            rule = self._words.rule_of(setting) or ""
            if isinstance(value, tuple):
                whole = refused.get(rule)
                statuses = {
                    entry: refusal.status(str(entry))
                    for entry in value
                    if (refusal := whole or self._entry(rule, setting, entry)) is not None
                }
                accepted[setting] = tuple(entry for entry in value if entry not in statuses)
                if statuses:
                    rejected[setting] = tuple(statuses.values())
            elif rule in refused:
                option = self._words.catalog.definition(setting).option(value) if isinstance(value, str) else None
                rejected[setting] = (refused[rule].status(option.display_name if option else str(value)),)
            else:
                accepted[setting] = value
        return accepted, rejected

    def _entry(self, rule: str, setting: SettingId, entry: SettingValue) -> Refusal | None:
        if not isinstance(entry, str):
            return None
        return self.entry_refusal(rule, entry, exclusion=self._words.is_exclusion(setting))


class AuditingProvider(HardeningProvider):
    """A provider some of whose rules can be audited: it owns a file of audit rules."""

    @property
    def audit_file(self) -> PurePosixPath:
        """The file of audit rules; before ``99-finalize.rules``, after which nothing can be loaded."""
        return PurePosixPath(f"/etc/audit/rules.d/70-shieldwall-{self.name}.rules")

    @staticmethod
    def key(rule: str) -> str:
        """Name a rule in the audit log."""
        return f"shieldwall_{rule}"

    def load_audit(self, host: Host) -> None:
        """Make the kernel hold our audit rules as the file has them. Raises: AuditRefusedError, HostError."""
        audit_loading.load(host, self.audit_file, [self.key(rule) for rule in sorted(self.rules)])

    def observe_audit(self, host: Host, rule: str) -> Observation:
        """Say whether the kernel writes down what a rule is about."""
        return audit_loading.observe(host, self.audit_file, self.key(rule))

    def audit_refusal(self, files: Files) -> Refusal | None:
        """Say why nothing can be audited here, if so. Pure."""
        if audit_loading.is_installed(files):
            return None
        return Refusal(code=UNAVAILABLE, reason=audit_loading.NOT_INSTALLED)

    def audited(self, rules: Rules) -> Sequence[str]:
        """Return our rules that are audited, in order."""
        return sorted(rules.among(Mode.AUDIT) & self.rules)
