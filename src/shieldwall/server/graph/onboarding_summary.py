"""``advancedThreatProtectionOnboardingStateSummary``: how many devices are onboarded, and how each of them is."""

from __future__ import annotations

from collections import Counter
from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.sight import Sight, showing, sight_of
from shieldwall.server.graph.describing import lists, shows
from shieldwall.server.graph.fields.security import ONBOARDING_STATE_FIELDS
from shieldwall.server.graph.requests import GraphRequest, Services, answer, page_answer, query_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.account import ONBOARDING_STATE, ONBOARDING_SUMMARY
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.onboarding import onboarding_states
from shieldwall.server.storage.onboarding.onboarding_states import OnboardedDevice

_READ: Final = allow("DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All")
_SUMMARY: Final = "/deviceManagement/advancedThreatProtectionOnboardingStateSummary"
_SETTING: Final = "advancedThreatProtectionOnboarding"
STATES: Final = (
    "unknown",
    "notApplicable",
    "compliant",
    "remediated",
    "nonCompliant",
    "error",
    "conflict",
    "notAssigned",
)
"""The values of the published ``complianceStatus``, each of which has a counter."""
_NOT_APPLICABLE: Final = frozenset({EnrollmentCode.UNSUPPORTED_SYSTEM, EnrollmentCode.NON_PERSISTENT_DESKTOP})
_PLATFORMS: Final = {"Windows": "windows10AndLater", "Windows Server": "windows10AndLater", "macOS": "macOS"}


@get(
    _SUMMARY,
    opt=_READ | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED) | shows(ONBOARDING_SUMMARY),
    sync_to_thread=True,
)
def get_onboarding_summary(services: Services, request: GraphRequest) -> Response[bytes]:
    """Count the devices by how far they are with onboarding."""
    query = query_of(request)
    with services.database.read() as connection:
        counted = onboarding_states.count_alike(connection, services.tenant.id, sight_of(request).onboarded_devices())
    counts: Counter[str] = Counter()
    for each in counted:
        counts[onboarding_state(each.state, each.enrollment_code, impaired=each.impaired)] += each.devices
    summary: Json = {"id": services.tenant.id} | {f"{state}DeviceCount": counts[state] for state in STATES}
    return answer(query.shape(summary))


@get(
    _SUMMARY + "/advancedThreatProtectionOnboardingDeviceSettingStates",
    opt=_READ
    | needs(ResourceAction.VIEW_REPORTS, Reach.LISTED)
    | showing(Sight.onboarded_devices)
    | lists(ONBOARDING_STATE),
    sync_to_thread=True,
)
def list_onboarding_states(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the devices with how far each is with onboarding, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = onboarding_states.list_onboarded(connection, services.tenant.id, query.page_of(ONBOARDING_STATE_FIELDS))
    rows = [(each.device_id, _resource(each)) for each in found]
    return page_answer(services, request, query, rows, ONBOARDING_STATE_FIELDS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (get_onboarding_summary, list_onboarding_states)


def onboarding_state(state: DeviceState, enrollment_code: int, *, impaired: bool) -> str:
    """Say in the published words how far a device is.

    Compliant is one that is managed here and well; not assigned one that the enforcement scope leaves out, or that
    somebody else manages.
    """
    match state:
        case DeviceState.PENDING:
            return "unknown"
        case DeviceState.QUARANTINED:
            return "conflict"
        case DeviceState.DISABLED | DeviceState.LEAVING | DeviceState.RETIRED:
            return "nonCompliant"
        case DeviceState.ACTIVE if enrollment_code == MANAGED_CODE:
            return "error" if impaired else "compliant"
        case DeviceState.ACTIVE:
            return "notApplicable" if enrollment_code in _NOT_APPLICABLE else "notAssigned"


def _resource(device: OnboardedDevice) -> Json:
    return {
        "id": device.device_id,
        "deviceId": device.device_id,
        "deviceName": device.display_name,
        "deviceModel": device.model,
        "platformType": _PLATFORMS.get(device.os_type, "unknown"),
        "setting": _SETTING,
        "settingName": _SETTING,
        "state": onboarding_state(device.state, device.enrollment_code, impaired=device.impaired),
        "complianceGracePeriodExpirationDateTime": None,
        "userId": None,
        "userEmail": None,
        "userName": None,
        "userPrincipalName": None,
    }
