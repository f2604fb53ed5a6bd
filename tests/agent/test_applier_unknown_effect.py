from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support.policies import LEVEL, choice, document
from tests.support.pretend_products import PretendDevice, PretendProvider

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Observation
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState


class Silent(PretendProvider):
    """A product that does not tell what it does."""

    def observe(
        self,
        host: Host,  # noqa: ARG002 - the interface gives it
        desired: Desired,
    ) -> Mapping[SettingId, Observation]:
        return dict.fromkeys(desired, Observation(effective=None, code="notShown", reason="It does not say."))


def test_the_report_says_why_nobody_knows_whether_a_setting_is_in_effect(tmp_path: Path) -> None:
    device = PretendDevice(directory=tmp_path / "state", providers=[Silent("silent", [LEVEL])], files={})

    (status,) = device.applier().enforce([document(1, choice(LEVEL, "_0"))]).settings

    assert (status.state, status.effective) == (SettingState.SUCCEEDED, None)
    assert (status.code, status.reason) == ("notShown", "It does not say.")
