"""What every profile of Defender becomes on a Windows machine, to be compared with what documentation says."""

from __future__ import annotations

from typing import Final

import pytest
from tests.support import every_setting, golden
from tests.support.windows_defender import ANTIVIRUS, CATALOG, EXCLUSIONS, EXPERIENCE, REDUCTION, UPDATES

from shieldwall.agent.providers.windows_defender.provider import defender
from shieldwall.catalog.model import Kind
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.policy.flatten import put
from shieldwall.policy.values import SettingValue
from shieldwall.testing.windows.cim import PretendCim

PROVIDER: Final = defender(CATALOG, PretendCim())[0]
PROFILES: Final = {
    "antivirus": ANTIVIRUS,
    "antivirus-exclusions": EXCLUSIONS,
    "security-experience": EXPERIENCE,
    "update-controls": UPDATES,
    "attack-surface-reduction": REDUCTION,
}


def wanted(template: TemplateId, *, last: bool) -> dict[SettingId, SettingValue]:
    """Return every setting of a profile: as it is by default, or each choice with its last option."""
    found: dict[SettingId, SettingValue] = {}
    for path in every_setting.paths(CATALOG, CATALOG.templates[template]):
        put_in: dict[SettingId, SettingValue] = {}
        put(CATALOG, every_setting.policy(CATALOG, path), put_in)
        found |= put_in
    if last:
        for setting, value in found.items():
            definition = CATALOG.definition(setting)
            if definition.kind is Kind.CHOICE:
                found[setting] = definition.options[-1].item_id
            elif isinstance(value, int):
                found[setting] = definition.limits.maximum or value
    return found


@pytest.mark.parametrize("last", [False, True], ids=["by-default", "last-options"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_becomes_what_it_was(profile: str, last: bool) -> None:
    rendered = PROVIDER.render(dict.fromkeys(PROVIDER.files()), wanted(PROFILES[profile], last=last), {})

    which = "last-options" if last else "by-default"
    golden.same_as_golden(f"windows_defender/{profile}.{which}", golden.documents(rendered.files))
