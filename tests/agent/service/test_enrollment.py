"""What a device shows of its enrollment: the order of its own findings, its trouble and the server's word."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.host.suitability import Sign
from shieldwall.agent.host.survey import Finding, Survey
from shieldwall.agent.service.enrollment import enrollment_of, own_code, view
from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.overview import overview
from shieldwall.contract.enrollment import STATUSES, EnrollmentCode
from shieldwall.contract.enrollment_errors import code_of_error
from shieldwall.contract.messages import ManagerKind, Unsuitable

_SIGN = PurePosixPath("/sign")
_KINDS: list[ManagerKind] = ["mdm", "microsoftChannel", "configurationManager"]


def a_survey(*kinds: ManagerKind, unsuitable: Unsuitable | None = None) -> Survey:
    return Survey(
        managers=tuple(Finding(product=kind, evidence=_SIGN, kind=kind) for kind in kinds),
        neighbours=(),
        unsuitable_sign=None if unsuitable is None else Sign(kind=unsuitable, finding="Unfit.", evidence=str(_SIGN)),
    )


NOBODY = a_survey()
BESIDE = a_survey("configurationManager")
troubles = st.none() | st.sampled_from(["clockSkew", "nameUnknown", "gatewayUnreachable", "reportRefused"])
words = st.none() | st.integers(0, 255)
surveys = st.builds(
    lambda kinds, unsuitable: a_survey(*kinds, unsuitable=unsuitable),
    st.lists(st.sampled_from(_KINDS), max_size=2, unique=True),
    st.sampled_from([None, "unsupportedOs", "nonPersistentDesktop"]),
)


@given(found=surveys, trouble=troubles, told=words, has_checked_in=st.booleans())
def test_findings_go_before_trouble_trouble_before_the_word_and_the_word_before_guesses(
    found: Survey, trouble: str | None, told: int | None, has_checked_in: bool
) -> None:
    shown = enrollment_of(found, trouble=trouble, told=told, has_checked_in=has_checked_in)

    own = own_code(found)
    if own is not None and not (found.manager == "configurationManager" and told == 4):
        assert shown == view(own)
    elif trouble is not None:
        assert shown == view(code_of_error(trouble))
    elif told is not None:
        assert (shown.code, shown.told) == (told, True)
    else:
        assert shown.code in {1, 2, 4}
        assert not shown.told
    assert shown.cause
    assert shown.remedy


@pytest.mark.parametrize(
    ("found", "has_checked_in", "code"), [(NOBODY, False, 2), (BESIDE, False, 2), (BESIDE, True, 4), (NOBODY, True, 1)]
)
def test_without_a_word_the_device_guesses(found: Survey, has_checked_in: bool, code: int) -> None:
    assert enrollment_of(found, has_checked_in=has_checked_in).code == code


@pytest.mark.parametrize("told", [1, 4, 8])
def test_beside_configuration_manager_the_server_decides(told: int) -> None:
    assert enrollment_of(BESIDE, has_checked_in=True, told=told).code == told


def test_configuration_manager_goes_before_an_unfit_machine_as_on_the_server() -> None:
    both = a_survey("configurationManager", unsuitable="unsupportedOs")

    assert [enrollment_of(both, told=told).code for told in (None, 1, 4)] == [5, 5, 4]


def test_a_code_of_a_newer_server_is_shown_as_it_is() -> None:
    shown = enrollment_of(NOBODY, told=99)

    assert (shown.code, shown.status) == (99, "Unknown")
    assert "does not know" in shown.cause


@pytest.mark.parametrize("code", [EnrollmentCode.NOT_ENROLLED, EnrollmentCode.TENANT_SWITCH_OFF])
def test_a_device_that_is_left_out_says_why_and_lets_go(
    laptop: SimulatedAgent, gateway: SimulatedGateway, code: EnrollmentCode
) -> None:
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    managed = overview(laptop.surroundings, running=True).enrollment
    assert (managed.code, managed.told) == (EnrollmentCode.MANAGED, True)

    gateway.device.enrollment = code
    laptop.check_in()

    shown = overview(laptop.surroundings, running=True)
    assert (shown.enrollment.code, shown.enrollment.cause) == (code, STATUSES[code].cause)
    assert (shown.policies, laptop.enforcer.wanted) == ((), {})
    assert laptop.check_in().manifest_changed is False, "the two agree"


def test_what_keeps_the_device_from_asking_goes_before_what_it_was_told(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    laptop.onboard()
    gateway.device.enrollment = 8
    laptop.check_in()
    laptop.network.away = True
    with pytest.raises(GatewayUnreachableError):
        laptop.check_in()

    assert overview(laptop.surroundings, running=True).enrollment.code == EnrollmentCode.NO_CONNECTION
    laptop.network.away = False
    laptop.check_in()
    assert overview(laptop.surroundings, running=True).enrollment.code == 8
