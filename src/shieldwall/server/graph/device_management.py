"""``/deviceManagement`` itself: the account, its settings as far as there are such here, how many devices it has."""

from __future__ import annotations

from collections import Counter
from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.graph.describing import shows
from shieldwall.server.graph.requests import GraphRequest, Services, answer, query_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.account import ACCOUNT, ACCOUNT_SETTINGS, OVERVIEW
from shieldwall.server.inventory.cleaning import CleanUpRules, get_rules
from shieldwall.server.inventory.machines import INACTIVE_AFTER
from shieldwall.server.storage.device_records import SPEAKING
from shieldwall.server.storage.onboarding import onboarding_states

_PATH: Final = "/deviceManagement"
_READ: Final = allow(
    "DeviceManagementConfiguration.Read.All",
    "DeviceManagementConfiguration.ReadWrite.All",
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "DeviceManagementServiceConfig.Read.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
)
_READ_DEVICES: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_SYSTEMS: Final = {
    "Windows": "windowsCount",
    "Windows Server": "windowsCount",
    "Linux": "linuxCount",
    "macOS": "macOSCount",
}
_OTHER_SYSTEMS: Final = (
    "androidCount",
    "androidCorporateWorkProfileCount",
    "androidDedicatedCount",
    "androidDeviceAdminCount",
    "androidFullyManagedCount",
    "androidWorkProfileCount",
    "aospUserAssociatedCount",
    "aospUserlessCount",
    "chromeOSCount",
    "configMgrDeviceCount",
    "iosCount",
    "windowsMobileCount",
)
"""Published counters of what never comes through this channel."""


@get(_PATH, opt=_READ | needs(ResourceAction.READ_ORGANIZATION, Reach.OPEN) | shows(ACCOUNT), sync_to_thread=True)
def get_device_management(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return the account."""
    query = query_of(request)
    with services.database.read() as connection:
        rules = get_rules(connection, services.tenant.id)
    account = {
        "id": services.tenant.id,
        "intuneAccountId": services.tenant.id,
        "accountMoveCompletionDateTime": None,
        "subscriptionState": "active",
        "subscriptions": "none",
        "settings": settings_resource(rules),
    }
    return answer(query.shape(account))


@get(
    _PATH + "/settings",
    opt=_READ | needs(ResourceAction.READ_ORGANIZATION, Reach.OPEN) | shows(ACCOUNT_SETTINGS),
    sync_to_thread=True,
)
def get_device_management_settings(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return the settings of the account; they are changed where each is at home, as the guide says."""
    query = query_of(request)
    with services.database.read() as connection:
        rules = get_rules(connection, services.tenant.id)
    return answer(query.shape(settings_resource(rules)))


@get(
    _PATH + "/managedDeviceOverview",
    opt=_READ_DEVICES | needs(ResourceAction.READ_DEVICES, Reach.LISTED) | shows(OVERVIEW),
    sync_to_thread=True,
)
def get_managed_device_overview(services: Services, request: GraphRequest) -> Response[bytes]:
    """Count the managed devices by operating system."""
    query = query_of(request)
    with services.database.read() as connection:
        counted = onboarding_states.count_alike(connection, services.tenant.id, sight_of(request).listed_devices())
    systems = Counter(dict.fromkeys((*_SYSTEMS.values(), *_OTHER_SYSTEMS, "unknownCount"), 0))
    for each in counted:
        if each.state in SPEAKING and each.enrollment_code == MANAGED_CODE:
            systems[_SYSTEMS.get(each.os_type, "unknownCount")] += each.devices
    enrolled = systems.total()
    overview = {
        "id": services.tenant.id,
        "enrolledDeviceCount": enrolled,
        "mdmEnrolledCount": 0,
        "dualEnrolledDeviceCount": 0,
        "deviceOperatingSystemSummary": dict(systems),
        "deviceExchangeAccessStateSummary": {
            "allowedDeviceCount": 0,
            "blockedDeviceCount": 0,
            "quarantinedDeviceCount": 0,
            "unavailableDeviceCount": enrolled,
            "unknownDeviceCount": 0,
        },
        "managedDeviceModelsAndManufacturers": None,
        "lastModifiedDateTime": moment(services.clock.now()),
    }
    return answer(query.shape(overview))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    get_device_management,
    get_device_management_settings,
    get_managed_device_overview,
)


def settings_resource(rules: CleanUpRules) -> Json:
    """Shape deviceManagementSettings: what is not done here is off."""
    return {
        "deviceComplianceCheckinThresholdDays": INACTIVE_AFTER.days,
        "deviceInactivityBeforeRetirementInDay": rules.retire_inactive_after_days or 0,
        "isScheduledActionEnabled": False,
        "secureByDefault": False,
        "enhancedJailBreak": False,
        "ignoreDevicesForUnsupportedSettingsEnabled": False,
        "androidDeviceAdministratorEnrollmentEnabled": False,
        "derivedCredentialProvider": "notConfigured",
        "derivedCredentialUrl": None,
    }
