"""The applier over the real firewall: policies to packets and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from msgspec.structs import replace
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.policies import (
    FIREWALL_RULES,
    RULES,
    catalog,
    choice,
    document,
    firewall_rule,
    items,
    number,
    text,
    texts,
)
from tests.support.pretend_products import HandUptime, Killed
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.state import State, Terms
from shieldwall.agent.applier.store import Store
from shieldwall.agent.providers.mdatp import MdatpProvider
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import PolicyDocument, SettingInstance
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


LINUX_FIREWALL = TemplateId("d004203a-c7c2-43ec-ac22-605f2e0ffbff_1")
ZONE = "linux_shieldwall_firewall_public_"
ON = "_true"


def profile(policy: int, *children: SettingInstance, more: tuple[SettingInstance, ...] = ()) -> PolicyDocument:
    """A policy that switches the zone public on."""
    return document(policy, choice(f"{ZONE}enablefirewall", ON, *children), *more, template=LINUX_FIREWALL)


def closed(setting: str, suffix: str) -> SettingInstance:
    return choice(f"{ZONE}{setting}", suffix)


def test_a_default_that_cuts_the_device_off_goes_back_unless_it_is_confirmed(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    device, other = ends
    uptime = HandUptime()
    applier = replace(applier_on(device, tmp_path), uptime=uptime)
    seconds = number("linux_shieldwall_firewall_global_confirmseconds", 60)
    with other.listening(PORT):
        applier.enforce([profile(1, closed("defaultoutboundaction", "_block"), more=(seconds,))])
        assert not device.reaches(other, PORT)
        waiting = applier.unconfirmed()
        assert waiting is not None
        assert waiting.providers == ("nftables",)

        uptime.pass_by(59)
        assert applier.revert_if_due() == ()
        uptime.pass_by(2)
        assert applier.revert_if_due() == ("nftables",)

        assert device.reaches(other, PORT)
        assert device.run("nft", "list", "ruleset").stdout == b""
        states = {status.code for status in applier.refresh().settings if status.setting.endswith("boundaction")}
        assert states == {"connectivityRollback"}


def test_the_way_to_the_server_of_the_terms_stays_open(ends: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    device, other = ends
    applier = applier_on(device, tmp_path)
    terms = Terms(server_urls=(f"https://{other.ipv4}:{PORT}",))
    with other.listening(PORT), other.listening(PORT + 1):
        report = applier.enforce([profile(1, closed("defaultoutboundaction", "_block"))], terms=terms)

        assert {status.code for status in report.settings} == {"unconfirmed"}, "confirmed it has to be all the same"
        assert device.reaches(other, PORT)
        assert not device.reaches(other, PORT + 1)
        waiting = applier.unconfirmed()
        assert waiting is not None
        applier.confirm(waiting.nonce)
        assert {status.state for status in applier.refresh().settings} == {SettingState.SUCCEEDED}

        moved = Terms(server_urls=(f"https://{other.ipv4}:{PORT + 1}",))
        applier.enforce([profile(1, closed("defaultoutboundaction", "_block"))], terms=moved)
        assert device.reaches(other, PORT + 1)


def test_conflicts_waiting_rules_and_what_cannot_be_have_words_of_their_own(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    device, _ = ends
    device.run(
        "nft",
        "-f",
        "-",
        stdin=b"table ip theirs {\n chain in {\n type filter hook input priority 0; policy drop;\n}\n}\n",
    )
    applier = applier_on(device, tmp_path)
    waiting = firewall_rule("nginx", "block", text(f"{RULES}_item_servicename", "nginx.service"))
    rules = document(2, items(RULES, waiting), template=FIREWALL_RULES)
    logged = closed("enablelogdroppedpackets", ON)

    report = applier.enforce([profile(1, closed("allowlocalpolicymerge", "_false"), logged), rules])

    found = {status.setting: (status.state, status.code) for status in report.settings}
    assert found == {
        f"{ZONE}enablefirewall": (SettingState.PENDING, "unconfirmed"),
        f"{ZONE}allowlocalpolicymerge": (SettingState.CONFLICT, "foreignTable"),
        f"{ZONE}enablelogdroppedpackets": (SettingState.NOT_APPLICABLE, "notApplicable"),
        RULES: (SettingState.PENDING, "serviceNotRunning"),
    }


def test_what_the_machine_looks_like_is_followed_and_is_nobodys_tampering(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    device, other = ends
    applier = applier_on(device, tmp_path)
    networks = texts("linux_shieldwall_firewall_trusted_networks", "10.99.0.0/24")
    trusted = choice("linux_shieldwall_firewall_trusted_enablefirewall", "_false")
    with device.listening(PORT):
        device.run("ip", "address", "delete", f"{device.ipv4}/24", "dev", "cable")
        applier.enforce([profile(1, more=(networks, trusted))])
        device.run("ip", "address", "add", f"{device.ipv4}/24", "dev", "cable")
        assert not other.reaches(device, PORT)

        report = applier.refresh()

        assert other.reaches(device, PORT)
        assert "repaired" not in {status.code for status in report.settings}
    applier.release()
    assert device.run("nft", "list", "ruleset").stdout == b""
