"""msgraph-beta-sdk: a policy made from a template, assigned, read back whole, changed, copied and deleted."""

import asyncio
import json
import sys
from urllib.parse import urlsplit

from azure.identity.aio import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph_beta import GraphRequestAdapter, GraphServiceClient
from msgraph_beta.generated.device_management.configuration_policies.configuration_policies_request_builder import (
    ConfigurationPoliciesRequestBuilder,
)
from msgraph_beta.generated.device_management.configuration_policies.item.assign.assign_post_request_body import (
    AssignPostRequestBody,
)
from msgraph_beta.generated.device_management.configuration_policies.item.create_copy import (
    create_copy_post_request_body as copying,
)
from msgraph_beta.generated.device_management.managed_devices.managed_devices_request_builder import (
    ManagedDevicesRequestBuilder,
)
from msgraph_beta.generated.models.all_devices_assignment_target import AllDevicesAssignmentTarget
from msgraph_beta.generated.models.device_management_configuration_choice_setting_instance import (
    DeviceManagementConfigurationChoiceSettingInstance,
)
from msgraph_beta.generated.models.device_management_configuration_choice_setting_value import (
    DeviceManagementConfigurationChoiceSettingValue,
)
from msgraph_beta.generated.models.device_management_configuration_platforms import (
    DeviceManagementConfigurationPlatforms,
)
from msgraph_beta.generated.models.device_management_configuration_policy import DeviceManagementConfigurationPolicy
from msgraph_beta.generated.models.device_management_configuration_policy_assignment import (
    DeviceManagementConfigurationPolicyAssignment,
)
from msgraph_beta.generated.models.device_management_configuration_policy_template_reference import (
    DeviceManagementConfigurationPolicyTemplateReference,
)
from msgraph_beta.generated.models.device_management_configuration_setting import DeviceManagementConfigurationSetting
from msgraph_beta.generated.models.device_management_configuration_technologies import (
    DeviceManagementConfigurationTechnologies,
)

told = json.load(sys.stdin)
PolicyQuery = ConfigurationPoliciesRequestBuilder.ConfigurationPoliciesRequestBuilderGetQueryParameters
DeviceQuery = ManagedDevicesRequestBuilder.ManagedDevicesRequestBuilderGetQueryParameters


def connected() -> GraphServiceClient:
    host = urlsplit(told["url"])
    credential = ClientSecretCredential(
        told["tenant"], told["clientId"], told["clientSecret"], authority=told["url"], disable_instance_discovery=True
    )
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=[host.hostname, host.netloc]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{told['url']}/beta"
    return GraphServiceClient(request_adapter=adapter)


def setting(definition: str, choice: str) -> DeviceManagementConfigurationSetting:
    return DeviceManagementConfigurationSetting(
        odata_type="#microsoft.graph.deviceManagementConfigurationSetting",
        setting_instance=DeviceManagementConfigurationChoiceSettingInstance(
            odata_type="#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
            setting_definition_id=definition,
            choice_setting_value=DeviceManagementConfigurationChoiceSettingValue(value=choice, children=[]),
        ),
    )


async def main() -> dict[str, object]:
    client = connected()
    policies = client.device_management.configuration_policies
    made = await policies.post(
        DeviceManagementConfigurationPolicy(
            name="Made by the beta SDK",
            description="",
            platforms=DeviceManagementConfigurationPlatforms.Linux,
            technologies=DeviceManagementConfigurationTechnologies.MicrosoftSense,
            template_reference=DeviceManagementConfigurationPolicyTemplateReference(template_id=told["template"]),
            settings=[setting(told["definition"], told["choice"])],
        )
    )
    one = policies.by_device_management_configuration_policy_id(made.id)
    await one.assign.post(
        AssignPostRequestBody(
            assignments=[DeviceManagementConfigurationPolicyAssignment(target=AllDevicesAssignmentTarget())]
        )
    )
    wanted = PolicyQuery(
        filter=f"templateReference/templateFamily eq 'endpointSecurityAntivirus' and name eq '{made.name}'",
        expand=["assignments", "settings"],
        orderby=["lastModifiedDateTime desc"],
    )
    found = await policies.get(RequestConfiguration(query_parameters=wanted))
    await one.patch(DeviceManagementConfigurationPolicy(description="Changed by the beta SDK"))
    settings = await one.settings.get()
    copied = await one.create_copy.post(copying.CreateCopyPostRequestBody(display_name="Copy", description="Copied"))
    read = await one.get()
    await policies.by_device_management_configuration_policy_id(copied.id).delete()
    await one.delete()

    devices = client.device_management.managed_devices
    linux = DeviceQuery(
        filter="operatingSystem eq 'Linux' and managementAgent eq 'msSense'", orderby=["deviceName asc"], top=5
    )
    some = await devices.get(RequestConfiguration(query_parameters=linux))
    await devices.by_managed_device_id(some.value[0].id).sync_device.post()
    templates = await client.device_management.configuration_policy_templates.get()
    return {
        "found": [
            {
                "platforms": [platform.value for platform in each.platforms],
                "technologies": [technology.value for technology in each.technologies],
                "targets": [assignment.target.odata_type for assignment in each.assignments],
                "settings": [
                    [kept.setting_instance.setting_definition_id, kept.setting_instance.choice_setting_value.value]
                    for kept in each.settings
                ],
            }
            for each in found.value
        ],
        "settings": len(settings.value),
        "description": read.description,
        "isAssigned": read.is_assigned,
        "copy": copied.name,
        "devices": [device.device_name for device in some.value],
        "agents": sorted({device.management_agent.value for device in some.value}),
        "more": some.odata_next_link is not None,
        "templates": len(templates.value),
    }


print(json.dumps(asyncio.run(main())))
