"""Which time the applier believes, and what hangs on it: changes on probation, news that nobody heard."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.support.doubted_agent import (
    AGENT,
    FIREWALL,
    ROOT,
    apply,
    clock,
    gateway,
    laptop,
    manifest,
    policies,
    signed_time,
    standing,
)
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import HandClock, SimulatedGateway

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.confirming import NothingToConfirmError, Unconfirmed
from shieldwall.agent.applier.protocol import Outcome, Standing
from shieldwall.contract.messages import Manifest
from shieldwall.contract.strict_json import decode, encode
from shieldwall.trust import moments, refusals, strict_base64

__all__ = ["clock", "gateway", "laptop"]


def test_a_clock_that_is_off_is_corrected_by_time_signed_for_our_nonce(
    laptop: SimulatedAgent, gateway: SimulatedGateway, clock: HandClock
) -> None:
    laptop.clock = HandClock(at=clock.at + timedelta(days=400))
    gateway.assign()
    envelope = manifest(gateway)
    desk = laptop.desk
    with pytest.raises(refusals.ManifestExpiredError):
        desk(protocol.Apply(manifest=envelope), AGENT)
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)

    for time in (signed_time(gateway, "0" * 32), signed_time(gateway, look.nonce, key="policy")):
        with pytest.raises(refusals.RefusedTimeError):
            desk(protocol.Apply(manifest=envelope, time=time), AGENT)
    answered = desk(protocol.Look(), AGENT)
    assert isinstance(answered, Standing)
    desk(protocol.Apply(manifest=envelope, time=signed_time(gateway, answered.nonce)), AGENT)

    assert laptop.enforcer.now == {FIREWALL: "off"}


def test_time_never_goes_back_behind_what_was_signed(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    desk = laptop.desk
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)
    before = signed_time(gateway, look.nonce, ahead=-timedelta(days=3))

    with pytest.raises(refusals.RefusedTimeError, match="lies before"):
        desk(protocol.Apply(manifest=manifest(gateway), time=before), AGENT)


def apply_in_time(laptop: SimulatedAgent, gateway: SimulatedGateway) -> protocol.Answer:
    """Apply what is assigned, with time that is signed for the nonce of a moment ago."""
    desk = laptop.desk
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)
    time = signed_time(gateway, look.nonce)
    return desk(protocol.Apply(manifest=manifest(gateway), policies=policies(gateway), time=time), AGENT)


def test_time_goes_back_behind_what_was_signed_ahead_where_our_own_clock_says_so_too(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    right = laptop.clock.at
    gateway.clock = HandClock(right + timedelta(days=20))
    gateway.assign(gateway.publish(a_policy(firewall="ahead")))
    apply_in_time(laptop, gateway)
    assert laptop.enforcer.now == {FIREWALL: "ahead"}
    gateway.clock = HandClock(right)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="right")))
    with pytest.raises(refusals.ManifestExpiredError):
        apply(laptop, manifest(gateway), *policies(gateway))
    laptop.clock.at = right - timedelta(minutes=6)
    with pytest.raises(refusals.RefusedTimeError, match="clock of this device"):
        apply_in_time(laptop, gateway)
    laptop.clock.at = right

    apply_in_time(laptop, gateway)

    assert laptop.enforcer.now == {FIREWALL: "right"}
    assert standing(laptop).trusted_time == moments.write(right)


def test_a_clock_set_back_revives_no_expired_manifest(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.assign()
    stale = manifest(gateway)
    laptop.clock.advance(days=20)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    laptop.check_in()
    laptop.clock.advance(days=-20)

    with pytest.raises((refusals.ManifestNotNewerError, refusals.ManifestExpiredError)):
        apply(laptop, stale)
    assert standing(laptop).trusted_time >= "2026-12-13"


# Proof of connection


def test_a_change_on_probation_is_kept_by_time_signed_for_its_nonce(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    nonce = "ab" * 16
    laptop.enforcer.waiting = Unconfirmed(
        nonce=nonce, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0
    )
    assert standing(laptop).unconfirmed == protocol.Unconfirmed(nonce=nonce, seconds_left=600.0)
    for wrong in (signed_time(gateway, "0" * 32), signed_time(gateway, nonce, key="manifest")):
        with pytest.raises(refusals.RefusedTimeError):
            laptop.desk(protocol.Confirm(statement=wrong), ROOT)
    assert standing(laptop).unconfirmed is not None

    laptop.desk(protocol.Confirm(statement=signed_time(gateway, nonce)), AGENT)

    assert standing(laptop).unconfirmed is None
    with pytest.raises(NothingToConfirmError):
        laptop.desk(protocol.Confirm(statement=signed_time(gateway, nonce)), AGENT)


def test_the_agent_confirms_after_a_check_in(laptop: SimulatedAgent) -> None:
    laptop.enforcer.waiting = Unconfirmed(
        nonce="cd" * 16, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0
    )

    laptop.check_in()

    assert standing(laptop).unconfirmed is None
    assert laptop.network.calls.index("/device/v1/checkin") < laptop.network.calls.index("/device/v1/time")


def test_an_agent_that_reaches_nobody_confirms_nothing(laptop: SimulatedAgent) -> None:
    laptop.enforcer.waiting = Unconfirmed(
        nonce="cd" * 16, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0
    )
    laptop.network.away = True

    with pytest.raises(Exception, match="away"):
        laptop.check_in()
    assert laptop.enforcer.waiting is not None


def test_repairs_that_nobody_heard_of_are_told_to_the_next_who_asks(laptop: SimulatedAgent) -> None:
    desk = laptop.desk
    laptop.enforcer.now = {FIREWALL: "off"}
    desk.warden.refresh(heard=False)

    told = desk(protocol.Refresh(), AGENT)
    again = desk(protocol.Refresh(), AGENT)

    assert isinstance(told, Outcome)
    assert isinstance(again, Outcome)
    assert told.report is not None
    assert again.report is not None
    assert [status.code for status in told.report.settings] == ["repaired"]
    assert [status.code for status in again.report.settings] == [None]


def test_a_manifest_is_read_as_the_bytes_that_were_signed(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    envelope = manifest(gateway)
    altered = replace(decode(strict_base64.decode(envelope.payload), Manifest), items=())

    with pytest.raises(refusals.ManifestSignatureError):
        apply(laptop, replace(envelope, payload=strict_base64.encode(encode(altered))))
