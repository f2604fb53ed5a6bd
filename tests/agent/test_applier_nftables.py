"""The applier over the real firewall: policies to packets and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.policies import FIREWALL_RULES, RULES, catalog, choice, document, firewall_rule, items, texts
from tests.support.pretend_products import Killed
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.state import State
from shieldwall.agent.applier.store import Store
from shieldwall.agent.providers.mdatp import MdatpProvider
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PORT = 8000
SCRIPT = PurePosixPath("/etc/shieldwall/nftables.conf")


@pytest.fixture
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    with joined_namespaces() as ends:
        yield ends


def applier_on(device: Namespace, directory: Path, store: type[Store] = Store) -> Applier:
    return Applier(
        host=NamespaceHost(directory / "root", device),
        store=store(directory / "state"),
        providers=[NftablesProvider(), MdatpProvider(catalog())],
        platform="linux",
        catalog=catalog(),
        clock=HandClock(),
    )


def blocking(policy: int, *ports: int) -> PolicyDocument:
    rules = (
        firewall_rule(
            f"block {port}",
            "block",
            choice(f"{RULES}_item_protocol", "_tcp"),
            texts(f"{RULES}_item_localports", str(port)),
        )
        for port in ports
    )
    return document(policy, items(RULES, *rules), template=FIREWALL_RULES)


def test_rules_of_all_policies_block_together_are_repaired_and_go_without_a_trace(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    device, other = ends
    applier = applier_on(device, tmp_path)
    with device.listening(PORT), device.listening(PORT + 1):
        assert other.reaches(device, PORT)

        (status,) = applier.enforce([blocking(1, PORT), blocking(2, PORT + 1)]).settings
        assert (status.state, status.effective, status.provider) == (SettingState.SUCCEEDED, True, "nftables")
        assert status.rule == "union"
        assert len(status.read_back) == 2
        assert not other.reaches(device, PORT)
        assert not other.reaches(device, PORT + 1)

        device.run("nft", "flush", "ruleset")
        assert other.reaches(device, PORT)
        (status,) = applier.refresh().settings
        assert (status.state, status.code) == (SettingState.SUCCEEDED, "repaired")
        assert not other.reaches(device, PORT)

        applier.enforce([blocking(2, PORT + 1)])
        assert other.reaches(device, PORT)
        assert not other.reaches(device, PORT + 1)

        applier.release()
        assert other.reaches(device, PORT + 1)
    assert device.run("nft", "list", "ruleset").stdout == b""
    assert applier.host.read_file(SCRIPT) is None


class DyingStore(Store):
    """Dies instead of committing: the intent is on disk, the new rules are in the kernel."""

    def save(self, state: State) -> None:
        if not state.intents:
            raise Killed
        super().save(state)


def test_killed_before_the_commit_the_firewall_goes_back_at_the_next_start(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    device, other = ends
    with device.listening(PORT):
        with pytest.raises(Killed):
            applier_on(device, tmp_path, DyingStore).enforce([blocking(1, PORT)])
        assert not other.reaches(device, PORT)

        assert applier_on(device, tmp_path).recover() == ("nftables",)

        assert other.reaches(device, PORT)


def test_without_a_firewall_program_the_rules_are_not_applicable(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    applier = applier_on(ends[0], tmp_path)
    assert isinstance(applier.host, NamespaceHost)
    applier.host._program_directories = ()

    (status,) = applier.enforce([blocking(1, PORT)]).settings

    assert status.state is SettingState.NOT_APPLICABLE
    assert "not installed" in (status.reason or "")
