"""What was worked out of the very same policies is not worked out again, and of others it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.policies import LEVEL, RETENTION, choice, document, number
from tests.support.pretend_products import PretendDevice, PretendProvider

from shieldwall.agent.applier import choosing
from shieldwall.agent.applier.choosing import Choosing
from shieldwall.agent.applier.state import AS_PUBLISHED, Policies
from shieldwall.contract.strict_json import decode, encode
from shieldwall.policy.resolve import resolve

POLICY = document(1, choice(LEVEL, "_0"), number(RETENTION, 90))
OTHER = document(1, choice(LEVEL, "_0"), number(RETENTION, 91))


@pytest.fixture
def device(tmp_path: Path) -> PretendDevice:
    return PretendDevice(directory=tmp_path / "state", providers=[PretendProvider("first", [LEVEL, RETENTION])])


def choosing_for(device: PretendDevice) -> Choosing:
    applier = device.applier()
    return Choosing(host=applier.host, providers=applier.providers, catalog=applier.catalog, platform="linux")


def test_the_same_policies_are_checked_and_resolved_once(device: PretendDevice) -> None:
    chooses, policies = choosing_for(device), Policies(terms=AS_PUBLISHED, documents=(POLICY,))
    first, again = chooses.resolved(policies), chooses.resolved(decode(encode(policies), Policies))

    assert again is first
    assert first == resolve(chooses.catalog, (POLICY,))


def test_other_policies_and_other_terms_are_worked_out_anew(device: PretendDevice) -> None:
    chooses, policies = choosing_for(device), Policies(terms=AS_PUBLISHED, documents=(POLICY,))
    first = chooses.admitted(policies)

    other = chooses.admitted(Policies(terms=AS_PUBLISHED, documents=(OTHER,)))
    assert other.documents == (OTHER,)
    assert chooses.resolved(Policies(terms=AS_PUBLISHED, documents=(OTHER,))).decided()[RETENTION] == 91
    assert chooses.resolved(policies).decided()[RETENTION] == 90

    elsewhere = replace(AS_PUBLISHED, server_urls=("https://server.example",))
    moved = chooses.admitted(Policies(terms=elsewhere, documents=(POLICY,)))
    assert moved is not first
    assert chooses.resolve(first, AS_PUBLISHED.conflict_rules) == resolve(chooses.catalog, (POLICY,))


def test_a_look_for_drift_resolves_nothing_again(device: PretendDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    applier = device.applier()
    applier.enforce([POLICY])
    applier.refresh()
    monkeypatch.setattr(choosing, "resolve", lambda *_: pytest.fail("it was resolved again"))

    device.no_more_faults()
    device.files.update(dict.fromkeys(device.files, b""))
    report = applier.refresh()

    assert {status.code for status in report.settings} == {"repaired"}
