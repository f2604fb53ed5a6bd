r"""From settings to the registry and back, leaving no trace and no secret anywhere else. Pure.

Onboarding is a value with the package and no other package beside it; so the published scripts do it, which delete the
one when they write the other. A package of others that has to go is moved to our notes in the same registry, where it
was no less secret, and comes back when we let go. What is kept elsewhere says only that it was moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.host.registry import RegistryValue, decode, document_path, encode
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers import registry_values
from shieldwall.agent.providers.base import Desired, Files, Kept, Rendered
from shieldwall.agent.providers.windows_edr.packages import package_of
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue

PREFIX: Final = "device_vendor_msft_windowsadvancedthreatprotection_"
TYPE: Final = SettingId(f"{PREFIX}configurationtype")
ONBOARDING: Final = SettingId(f"{PREFIX}onboarding")
FROM_CONNECTOR: Final = SettingId(f"{PREFIX}onboarding_fromconnector")
OFFBOARDING: Final = SettingId(f"{PREFIX}offboarding")
SAMPLES: Final = SettingId(f"{PREFIX}configuration_samplesharing")
FREQUENCY: Final = SettingId(f"{PREFIX}configuration_telemetryreportingfrequency")
ONBOARD: Final = f"{TYPE}_onboard"
OFFBOARD: Final = f"{TYPE}_offboard"

POLICY: Final = document_path(r"HKLM\SOFTWARE\Policies\Microsoft\Windows Advanced Threat Protection")
NOTES: Final = document_path(r"HKLM\SOFTWARE\Shieldwall\WindowsEdr")
ONBOARDING_VALUE: Final = "OnboardingInfo"
OFFBOARDING_VALUE: Final = "696C1FA1-4030-4FA4-8713-FAF9B2EA7C0A"
SAMPLES_VALUE: Final = "AllowSampleCollection"

_STORE, _NOTES, _MOVED = "store", "notes", "moved"
_BEFORE: Final = "Before "
_SAMPLES: Final = {f"{SAMPLES}_0": 0, f"{SAMPLES}_1": 1}
_PACKAGE: Final = "package"
"""How a package is called in a report."""


class _Wanted(Struct):
    store: dict[tuple[str, str], RegistryValue] = field(default_factory=dict)
    notes: dict[tuple[str, str], RegistryValue] = field(default_factory=dict)
    away: tuple[str, ...] = ()
    rejected: dict[SettingId, tuple[ItemStatus, ...]] = field(default_factory=dict)


def render(files: Files, desired: Desired, kept: Kept) -> Rendered:
    """Compute both parts of the registry. Raises: HostError: One of them cannot be read as such."""
    policy, notes = _let_go(files, kept)
    wanted = _wanted(desired, registry_values.read(policy))
    policy, moved = _take_away(policy, wanted.away)
    brought = {("", f"{_BEFORE}{name}"): value for name, value in moved.items()}
    content, kept_store = registry_values.apply(policy, wanted.store)
    noted, kept_notes = registry_values.apply(notes, {**wanted.notes, **brought})
    parts = ((_STORE, kept_store), (_NOTES, kept_notes), (_MOVED, sorted(moved)))
    return Rendered(
        files={POLICY: content, NOTES: noted},
        kept={name: each for name, each in parts if each},
        rejected=wanted.rejected,
    )


def read(files: Files) -> Desired:
    """Read back what our notes speak of and the registry holds. Raises: HostError: as ``render``."""
    held, notes = registry_values.read(files.get(POLICY)), registry_values.read(files.get(NOTES))
    found: dict[SettingId, SettingValue] = {}
    for setting, name, kind in ((ONBOARDING, ONBOARDING_VALUE, ONBOARD), (OFFBOARDING, OFFBOARDING_VALUE, OFFBOARD)):
        text = _text(held, name)
        package = package_of(text)
        if package is not None and text is not None and package.digest == _text(notes, setting):
            found[setting] = text
            found[TYPE] = kind
    if _text(notes, SAMPLES) is not None:
        number = held.get(("", same_name(SAMPLES_VALUE)))
        option = next((each for each, wanted in _SAMPLES.items() if number == RegistryValue.dword(wanted)), None)
        if option is not None:
            found[SAMPLES] = option
    return found


def _wanted(desired: Desired, held: Mapping[tuple[str, str], RegistryValue]) -> _Wanted:
    wanted = _Wanted()
    kind = desired.get(TYPE)
    written = _onboard(wanted, desired, held), _offboard(wanted, desired)
    if kind is not None and not any(written):
        cause = "It takes effect with the package that it asks for, and none such is written."
        wanted.rejected[TYPE] = (_refused("packageNotWritten", cause, item=str(kind)),)
    if (samples := desired.get(SAMPLES)) is not None:
        if isinstance(samples, str) and samples in _SAMPLES:
            wanted.store["", SAMPLES_VALUE] = RegistryValue.dword(_SAMPLES[samples])
            wanted.notes["", SAMPLES] = RegistryValue.text("")
        else:
            wanted.rejected[SAMPLES] = (
                _refused("invalidValue", "No option of this setting.", item=str(samples)[:128]),
            )
    return wanted


def _onboard(wanted: _Wanted, desired: Desired, held: Mapping[tuple[str, str], RegistryValue]) -> bool:
    if ONBOARDING not in desired:
        return False
    package = package_of(desired[ONBOARDING])
    present = _text(held, ONBOARDING_VALUE)
    if (fault := _fault(desired, ONBOARD, is_package=package is not None)) is not None:
        wanted.rejected[ONBOARDING] = (fault,)
    elif present is not None and present != desired[ONBOARDING]:
        cause = "Another package stands in the registry: somebody else onboarded this device. Take it away there first."
        wanted.rejected[ONBOARDING] = (_refused("onboardedByOthers", cause, state=SettingState.CONFLICT),)
    else:
        assert package is not None
        if present is None:  # else it stays when we let go, as it was there before
            wanted.store["", ONBOARDING_VALUE] = RegistryValue.text(str(desired[ONBOARDING]))
        wanted.notes["", ONBOARDING] = RegistryValue.text(package.digest)
        wanted.away = (OFFBOARDING_VALUE,)
        return True
    return False


def _offboard(wanted: _Wanted, desired: Desired) -> bool:
    if OFFBOARDING not in desired:
        return False
    package = package_of(desired[OFFBOARDING])
    if (fault := _fault(desired, OFFBOARD, is_package=package is not None)) is not None:
        wanted.rejected[OFFBOARDING] = (fault,)
        return False
    assert package is not None
    wanted.store["", OFFBOARDING_VALUE] = RegistryValue.text(str(desired[OFFBOARDING]))
    wanted.notes["", OFFBOARDING] = RegistryValue.text(package.digest)
    wanted.away = (ONBOARDING_VALUE, OFFBOARDING_VALUE)
    return True


def _fault(desired: Desired, kind: str, *, is_package: bool) -> ItemStatus | None:
    """Say why a package must not be written: policies that contradict each other may leave both kinds behind."""
    if desired.get(TYPE) != kind:
        cause = (
            "It is not decided that this package is to be used: the type of configuration says otherwise or nothing."
        )
        return _refused("typeNotDecided", cause, state=SettingState.CONFLICT)
    if not is_package:
        return _refused("invalidPackage", "This is no package of Defender for Endpoint: download it again.")
    return None


def _let_go(files: Files, kept: Kept) -> tuple[bytes | None, bytes | None]:
    """Return both parts as they would be without us."""
    policy = registry_values.undo(files.get(POLICY), kept.get(_STORE, {}))
    before = files.get(NOTES)
    notes = registry_values.undo(before, kept.get(_NOTES, {}))
    noted = {} if before is None else decode(before).get("", {})
    for name in kept.get(_MOVED, ()):
        value = next((each for at, each in noted.items() if same_name(at) == same_name(f"{_BEFORE}{name}")), None)
        if value is not None and policy is not None:  # with the key, somebody took away what could be given back
            tree = decode(policy)
            held = tree.setdefault("", {})
            if same_name(name) not in map(same_name, held):
                held[name] = value
            policy = encode(tree)
    return policy, notes


def _take_away(policy: bytes | None, names: tuple[str, ...]) -> tuple[bytes | None, dict[str, RegistryValue]]:
    if policy is None or not names:
        return policy, {}
    tree = decode(policy)
    held = tree.get("", {})
    wanted = set(map(same_name, names))
    moved = {name: held.pop(name) for name in list(held) if same_name(name) in wanted}
    return encode(tree), moved


def _text(held: Mapping[tuple[str, str], RegistryValue], name: str) -> str | None:
    value = held.get(("", same_name(name)))
    return value.data if value is not None and isinstance(value.data, str) else None


def _refused(code: str, cause: str, *, item: str = _PACKAGE, state: SettingState = SettingState.ERROR) -> ItemStatus:
    return ItemStatus(item=item, state=state, code=code, reason=cause)
