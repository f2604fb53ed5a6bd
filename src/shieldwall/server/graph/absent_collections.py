"""Collections of Intune's that this server has nothing of: empty, and read only.

Backup and documentation tools go through everything that a tenant may have. An empty list is the truth about each of
these here, and lets such a tool end without errors; a 404 would make it report one. What would have to say something
about itself, such as the certificate for Apple's push service, is not here and answered 404, as in a tenant that never
set it up. Nothing can be created in these collections: that is answered 405.

The query is not looked at: whatever is asked of nothing, the answer is the same.
"""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.graph.describing import asked, lists
from shieldwall.server.graph.requests import GraphRequest, Services, answer
from shieldwall.server.graph.resources import collection
from shieldwall.server.graph.schemas.reports import ABSENT as NOTHING_OF

_READ: Final = allow(
    "DeviceManagementApps.Read.All",
    "DeviceManagementApps.ReadWrite.All",
    "DeviceManagementConfiguration.Read.All",
    "DeviceManagementConfiguration.ReadWrite.All",
    "DeviceManagementServiceConfig.Read.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
)
ABSENT: Final = {
    "/deviceAppManagement/managedAppPolicies": "app protection policies: there are no apps",
    "/deviceAppManagement/mobileAppConfigurations": "app configurations: there are no apps",
    "/deviceAppManagement/mobileApps": "apps",
    "/deviceAppManagement/vppTokens": "tokens of Apple's volume purchase program",
    "/deviceManagement/complianceManagementPartners": "partners for compliance",
    "/deviceManagement/compliancePolicies": "compliance policies",
    "/deviceManagement/depOnboardingSettings": "Apple's device enrolment program",
    "/deviceManagement/deviceCategories": "categories for users to choose from",
    "/deviceManagement/deviceCompliancePolicies": "compliance policies of the older kind",
    "/deviceManagement/deviceComplianceScripts": "scripts",
    "/deviceManagement/deviceConfigurations": "configuration profiles of the older kind",
    "/deviceManagement/deviceCustomAttributeShellScripts": "scripts",
    "/deviceManagement/deviceEnrollmentConfigurations": "enrolment of users' devices",
    "/deviceManagement/deviceHealthScripts": "scripts",
    "/deviceManagement/deviceManagementPartners": "other managers as partners",
    "/deviceManagement/deviceManagementScripts": "scripts",
    "/deviceManagement/deviceShellScripts": "scripts",
    "/deviceManagement/groupPolicyCategories": "administrative templates",
    "/deviceManagement/groupPolicyConfigurations": "administrative templates",
    "/deviceManagement/groupPolicyDefinitions": "administrative templates",
    "/deviceManagement/intents": "endpoint security policies of the older kind",
    "/deviceManagement/notificationMessageTemplates": "messages to users",
    "/deviceManagement/remoteAssistancePartners": "remote assistance",
    "/deviceManagement/templates": "templates of the older kind",
    "/deviceManagement/windowsAutopilotDeploymentProfiles": "Autopilot",
    "/deviceManagement/windowsAutopilotDeviceIdentities": "Autopilot",
    "/deviceManagement/windowsDriverUpdateProfiles": "updates of Windows",
    "/deviceManagement/windowsFeatureUpdateProfiles": "updates of Windows",
    "/deviceManagement/windowsQualityUpdateProfiles": "updates of Windows",
    "/identity/conditionalAccess/policies": "conditional access of users",
}
"""What is not here, and what it would be."""
_EXPAND: Final = asked("$expand", "Whatever should stand inside.", {"type": "string"})


def _nothing_of(path: str) -> HTTPRouteHandler:
    """Make the route of one collection."""

    @get(
        path,
        opt=_READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(NOTHING_OF, asks=[_EXPAND]),
        sync_to_thread=False,
    )
    def list_nothing(services: Services, request: GraphRequest) -> Response[bytes]:
        """List nothing: there is none of these on this channel."""
        _, version, name = request.url.path.split("/", 2)
        return answer(collection(f"{services.settings.public_url}/{version}/$metadata#{name}", []))

    return list_nothing


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = tuple(map(_nothing_of, ABSENT))
