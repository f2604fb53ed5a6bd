"""What the fate of packets says of the settings."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.firewall_profiles import zone
from tests.support.firewall_rules import firewall_rule

from shieldwall.agent.firewall_probe.packets import Answer
from shieldwall.agent.providers.base import Desired, Observation
from shieldwall.agent.providers.nftables.asking import asked_for
from shieldwall.agent.providers.nftables.judging import Fate, judged, reached, with_rules_left
from shieldwall.agent.providers.nftables.live import LiveTable
from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.trials import Trial, trials_of

LOCAL = int(ip_address("10.99.0.1"))
ANSWERS: list[Answer | None] = ["accepted", "refused", "echoed", "unreachable", "passedOn", None]
TOLD = {"enablefirewall": "true", "stealthmode": "false"}
SILENT = {"enablefirewall": "true", "stealthmode": "true"}


def trials(desired: Desired) -> tuple[Trial, ...]:
    return trials_of(asked_for(desired, Machine())[0], LOCAL, 40_000)


def of_knock(trial: Trial, fate: Fate, *, alone: bool = True) -> Observation:
    found = judged([trial], [fate], alone=alone)
    return found[next(setting for setting in trial.proves if setting.endswith("enablefirewall"))]


@pytest.mark.parametrize(
    ("answer", "counted", "alone", "effective", "code"),
    [
        (None, True, True, True, ""),
        (None, True, False, True, ""),
        (None, False, True, True, "stoppedBefore"),
        ("refused", False, True, False, "packetPassed"),
        ("refused", False, False, True, "stoppedBefore"),
        ("refused", True, True, False, "packetPassed"),
        ("accepted", False, False, False, "packetPassed"),
        ("accepted", True, False, False, "packetPassed"),
        ("unreachable", False, False, True, "stoppedBefore"),
        ("passedOn", False, False, None, "passedOn"),
    ],
)
def test_a_port_that_must_be_closed(
    answer: Answer | None, code: str, *, counted: bool, alone: bool, effective: bool | None
) -> None:
    seen = of_knock(trials(zone("public", **SILENT))[0], Fate(answer=answer, reached=counted), alone=alone)

    assert (seen.effective, seen.code) == (effective, code)
    assert bool(seen.reason) is bool(code)


@pytest.mark.parametrize(
    ("answer", "counted", "alone", "effective", "code"),
    [
        ("refused", True, True, True, ""),
        ("accepted", True, True, True, ""),
        (None, True, True, True, ""),
        (None, False, True, None, "stoppedBefore"),
        ("unreachable", False, False, None, "stoppedBefore"),
        ("refused", False, False, None, "stoppedBefore"),
        ("refused", False, True, False, "packetPassed"),
        ("accepted", False, False, False, "packetPassed"),
    ],
)
def test_a_port_that_must_be_open(
    answer: Answer | None, code: str, *, counted: bool, alone: bool, effective: bool | None
) -> None:
    trial = trials(zone("public", defaultinboundaction="allow", **SILENT))[0]

    seen = of_knock(trial, Fate(answer=answer, reached=counted), alone=alone)

    assert (seen.effective, seen.code) == (effective, code)


def test_without_stealth_mode_the_reset_is_part_of_the_proof() -> None:
    trial = trials(zone("public", **TOLD))[0]
    (stealth,) = (setting for setting in trial.proves if setting.endswith("stealthmode"))

    told = judged([trial], [Fate(answer="refused", reached=True)], alone=True)
    silent = judged([trial], [Fate(answer=None, reached=True)], alone=True)

    assert {seen.code for seen in told.values()} == {""}
    assert {setting for setting, seen in silent.items() if seen.code == "comparedOnly"} == {stealth}
    assert all(seen.effective for seen in (*told.values(), *silent.values()))


@given(
    fates=st.tuples(*[st.builds(Fate, answer=st.sampled_from(ANSWERS), reached=st.booleans())] * 3), alone=st.booleans()
)
def test_nothing_is_proven_that_the_table_did_not_count(fates: tuple[Fate, ...], *, alone: bool) -> None:
    chosen = trials(zone("public", **SILENT))
    found = judged(chosen, fates, alone=alone)

    for trial, fate in zip(chosen, fates, strict=True):
        for setting in trial.proves:
            seen = found[setting]
            proven = seen.effective is True and not seen.code
            assert not proven or fate.reached
            assert not (fate.answer in {"accepted", "echoed"} and not fate.reached) or seen.effective is False


def test_the_worst_of_several_fates_counts() -> None:
    rules = tuple(firewall_rule(f"rule {port}", protocol="tcp", localports=(str(port),)) for port in (8000, 8001))
    chosen = [trial for trial in trials({FIREWALL_RULES: rules}) if trial.rule]
    held, passed = Fate(answer=None, reached=True), Fate(answer="accepted", reached=False)

    assert judged(chosen, [held, held], alone=True)[FIREWALL_RULES] == Observation(effective=True)
    for fates in ([held, passed], [passed, held]):
        assert judged(chosen, fates, alone=True)[FIREWALL_RULES].effective is False


def test_rules_that_no_packet_was_about_are_told_of() -> None:
    rule = firewall_rule("one", protocol="tcp", localports=("8000",))
    chosen = [trial for trial in trials({FIREWALL_RULES: (rule,)}) if trial.rule]
    found = judged(chosen, [Fate(answer=None, reached=True)], alone=True)

    assert with_rules_left(found, chosen, 1) == found
    left = with_rules_left(found, chosen, 3)[FIREWALL_RULES]
    assert (left.effective, left.code) == (True, "comparedOnly")
    assert "1 of 3 rules" in left.reason


def test_a_line_has_to_count_as_many_packets_as_were_sent_to_it() -> None:
    knock = trials(zone("public", **SILENT))[0]
    table = asked_for(zone("public", **SILENT), Machine())[0].table()
    live = LiveTable(hooked=frozenset(), strange=frozenset(), objects=frozenset(), lines=table.lines)
    counts = [5] * len(table.lines)
    before = replace(live, packets=tuple(counts))
    at = table.lines.index(knock.expected.line)

    def after(more: int) -> LiveTable:
        return replace(live, packets=tuple(count + more * (number == at) for number, count in enumerate(counts)))

    assert reached([knock], before, after(0)) == (False,)
    assert reached([knock], before, after(1)) == (True,)
    assert reached([knock], before, after(-5)) == (False,), "somebody began to count anew"
    assert reached([knock, knock], before, after(1)) == (False, False)
