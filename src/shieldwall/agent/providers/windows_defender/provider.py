"""Microsoft Defender on Windows as a provider: policies in the registry, preferences where there is no policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

import msgspec
from msgspec.structs import replace

from shieldwall.agent.host.cim import Cim, CimError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.preferences import (
    EFFECTIVE,
    PREFERENCES,
    UNKNOWN,
    EngineNotAnsweringError,
    PreferenceStore,
    decode,
    effective,
)
from shieldwall.agent.host.registry import RegistryValue, document_path
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers import registry_values
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Support
from shieldwall.agent.providers.windows_defender import (
    asking,
    observing,
    policies,
    preferences,
    sourcing,
    supporting,
)
from shieldwall.agent.providers.windows_defender.asking import Memory, Sayings, ask
from shieldwall.agent.providers.windows_defender.landings import (
    CENTER_KEY,
    POLICY_KEY,
    Landing,
    PolicyNumber,
    PolicyText,
    Preference,
    ReportOnly,
    is_defenders,
    landings,
    properties,
)
from shieldwall.catalog.model import Catalog
from shieldwall.contract import strict_json
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue

_PLATFORM: Final = "windows10"
_REPORT_ONLY: Final = ItemStatus(
    item="tamperProtection",
    state=SettingState.NOT_APPLICABLE,
    code="reportOnly",
    reason="Defender takes this from its vendor's service alone, with a text signed there; whether it is so is told.",
)


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is remembered of each document."""

    policies: dict[str, object] = msgspec.field(default_factory=dict)
    center: dict[str, object] = msgspec.field(default_factory=dict)
    preferences: dict[str, object] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WindowsDefenderProvider:
    """Writes Defender's policies and preferences, and asks Defender what came of it.

    ``policy_key`` and ``center_key`` are where the two policies lie. By default that is where Group Policy keeps them;
    nobody publishes where settings management of the vendor writes, so they can be given otherwise.
    ``refusals`` is what the store of preferences notes of properties that Defender refused.
    """

    catalog: Catalog
    cim: Cim
    policy_key: str = POLICY_KEY
    center_key: str = CENTER_KEY
    refusals: Mapping[str, CimError] = field(default_factory=dict)
    memory: Memory = field(init=False)
    places: Mapping[SettingId, Landing] = field(init=False)

    def __post_init__(self) -> None:
        """Work out where everything lands, once."""
        object.__setattr__(self, "memory", Memory(self.cim))
        object.__setattr__(self, "places", landings(self.catalog))

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""
        return "windowsdefender"

    @property
    def takes_singly(self) -> bool:
        """See ``TakesSingly``: Defender refuses single preferences, some without a word."""
        return True

    def product_version(self, host: Host) -> str | None:
        """Return the version of Defender's platform, or a word on why it is not known; ``None`` without Defender."""
        sayings = self.memory.look(host).sayings
        if sayings.absent:
            return None
        return sayings.failure.code if sayings.failure else sayings.text("AMProductVersion") or "unknownVersion"

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether Defender on this machine takes this setting from us. Raises: LanguageModeError."""
        definition = self.catalog.definitions.get(setting)
        if definition is None or definition.platform != _PLATFORM or not is_defenders(setting):
            return None
        reason = supporting.why_not(definition, self.places.get(setting), self.memory.look(host))
        return Support(applicable=not reason, reason=reason)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the documents: two policies and the preferences."""
        return (self._policies, self._center, PREFERENCES)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the documents that hold ``desired``.

        Raises:
            EngineNotAnsweringError: Preferences are to be given back, and Defender's service is stopped.
            HostError: A document is none.
        """
        before = strict_json.convert(dict(kept), _Kept)
        policy = registry_values.undo(files.get(self._policies), before.policies)
        center = registry_values.undo(files.get(self._center), before.center)
        unknown = files.get(PREFERENCES) == UNKNOWN
        if unknown and before.preferences and not desired:
            raise EngineNotAnsweringError("Defender's service is stopped, so its preferences cannot be given back.")
        present = policies.held(policy)
        values: dict[tuple[str, str], RegistryValue | None] = {}
        shown: dict[tuple[str, str], RegistryValue | None] = {}
        settable = {}
        rejected: dict[SettingId, tuple[ItemStatus, ...]] = {}
        for setting in sorted(desired.keys() & self.places.keys()):
            place, definition = self.places[setting], self.catalog.definition(setting)
            refused: tuple[ItemStatus, ...] = ()
            match place:
                case ReportOnly():
                    refused = (_REPORT_ONLY,)
                case Preference():
                    found, refused = preferences.value_of(definition, place, desired[setting])
                    if found is not None:
                        settable[place.name] = found
                case _:
                    encoded = policies.encode(definition, place, desired[setting], present)
                    target = shown if _is_of_app(place) else values
                    target |= encoded.values
                    refused = encoded.rejected
            if refused:
                rejected[setting] = refused
        policy, of_policy = registry_values.apply(policy, values, shared=_by_others_too)
        center, of_center = registry_values.apply(center, shown, shared=_by_others_too)
        preference, of_preference = (
            (UNKNOWN, before.preferences)  # nothing can be changed now; what is to be given back stays remembered
            if unknown
            else preferences.apply(preferences.undo(files.get(PREFERENCES), before.preferences), settable)
        )
        now_kept = _Kept(policies=dict(of_policy), center=dict(of_center), preferences=dict(of_preference))
        contents = {self._policies: policy, self._center: center, PREFERENCES: preference}
        return Rendered(files=contents, kept=msgspec.to_builtins(now_kept), rejected=rejected)

    def read(self, files: Files) -> Desired:
        """Read every setting of the catalog that stands in the documents."""
        found: dict[SettingId, SettingValue] = {}
        document, center = policies.held(files.get(self._policies)), policies.held(files.get(self._center))
        content = files.get(PREFERENCES)
        settable = {} if content is None or content == UNKNOWN else decode(content)
        for setting, place in self.places.items():
            definition = self.catalog.definition(setting)
            value = (
                preferences.read(definition, place, settable.get(place.name))
                if isinstance(place, Preference)
                else policies.read(definition, place, center if _is_of_app(place) else document)
            )
            if value is not None:
                found[setting] = value
        return found

    def activate(self, host: Host) -> None:  # noqa: ARG002 - port
        """Do nothing but note it: Defender watches its policies, and takes preferences with the call that sets them."""
        self.memory.changed()

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Compare each setting with what Defender shows; after a change it is given some seconds to show it."""
        found = self._observed(host, desired)
        while any(map(observing.may_settle, found.values())) and self.memory.settles():
            found = self._observed(host, desired)
        return found

    def _observed(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        sayings = replace(ask(self.cim), protects_exclusions=asking.protects_exclusions(host))
        is_server = sayings.failure is None and self.memory.look(host).machine.is_server
        found: dict[SettingId, Observation] = {}
        for setting, value in desired.items():
            definition = self.catalog.definition(setting)
            seen = observing.judge(definition, self.places[setting], value, sayings, self.refusals)
            found[setting] = observing.on_server(definition, value, seen, sayings) if is_server else seen
        return found

    def local(self, files: Files, kept: Kept) -> Desired:
        """Read what holds without us: Group Policy's values, else local preferences that are not the default."""
        group_policy = self._without_us(files, kept)
        shown = sourcing.shown_values(self.catalog, self.places, *effective(files.get(EFFECTIVE)))
        ours = {name for name in self.read(files) if not isinstance(self.places[name], Preference)}
        local = {
            setting: value
            for setting, value in shown.items()
            if setting not in ours and not sourcing.is_default(self.catalog.definition(setting), value)
        }
        return {**local, **group_policy}

    def evidence(self) -> tuple[PurePosixPath, ...]:
        """See ``TellsOthers``: what Defender says, which costs several questions and is not asked at every look."""
        return (EFFECTIVE, document_path(asking.FEATURES_KEY))

    def others(self, files: Files, kept: Kept) -> Mapping[SettingId, sourcing.Other]:
        """See ``TellsOthers``: what Group Policy says, and what tamper protection keeps."""
        settings, status = effective(files.get(EFFECTIVE))
        features = policies.held(files.get(document_path(asking.FEATURES_KEY))).get("", {})
        exclusions = features.get(same_name(asking.TAMPER_EXCLUSIONS))
        kept_too = exclusions is not None and exclusions[1].data == 1
        return sourcing.others(
            self.catalog,
            self.places,
            group_policy=self._without_us(files, kept),
            written=self.read(files),
            sayings=Sayings(preferences=settings, status=status, protects_exclusions=kept_too),
        )

    def _without_us(self, files: Files, kept: Kept) -> Desired:
        """Return the values of policies that are not ours."""
        released = self.render(files, {}, kept).files
        return {
            setting: value
            for setting, value in self.read({**files, **released}).items()
            if not isinstance(self.places[setting], Preference)
        }

    @property
    def _policies(self) -> PurePosixPath:
        return document_path(self.policy_key)

    @property
    def _center(self) -> PurePosixPath:
        return document_path(self.center_key)


def defender(
    catalog: Catalog, cim: Cim, *, policy_key: str = POLICY_KEY, center_key: str = CENTER_KEY
) -> tuple[WindowsDefenderProvider, PreferenceStore]:
    """Make the provider, and the store to be mounted at ``preferences.MOUNT`` that belongs to it."""
    store = PreferenceStore(cim, properties(landings(catalog).values()))
    provider = WindowsDefenderProvider(catalog, cim, policy_key, center_key, refusals=store.refusals)
    return provider, store


def _is_of_app(place: Landing) -> bool:
    return isinstance(place, PolicyNumber | PolicyText) and place.center


def _by_others_too(_key: str) -> bool:
    """Say so of every key: where Group Policy writes, it does so whenever it likes."""
    return True
