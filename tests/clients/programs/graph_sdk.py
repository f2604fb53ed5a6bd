"""msgraph-sdk against v1.0: devices and groups by page, filter and order; a group made, changed, filled and deleted."""

import asyncio
import json
import sys
from urllib.parse import urlsplit

from azure.identity.aio import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.devices.devices_request_builder import DevicesRequestBuilder
from msgraph.generated.models.group import Group
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.reference_create import ReferenceCreate
from msgraph_core.tasks import PageIterator

told = json.load(sys.stdin)
Query = DevicesRequestBuilder.DevicesRequestBuilderGetQueryParameters


def connected() -> GraphServiceClient:
    host = urlsplit(told["url"])
    credential = ClientSecretCredential(
        told["tenant"],
        told["clientId"],
        told["clientSecret"],
        authority=told["url"],
        disable_instance_discovery=True,
    )
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=[host.hostname, host.netloc]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{told['url']}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


async def paged(client: GraphServiceClient) -> list[str]:
    first = await client.devices.get(RequestConfiguration(query_parameters=Query(top=7)))
    names: list[str] = []
    iterator = PageIterator(first, client.request_adapter)

    def keep(device: object) -> bool:
        names.append(device.display_name)
        return True

    await iterator.iterate(keep)
    return names


async def main() -> dict[str, object]:
    client = connected()
    chosen = Query(
        filter="operatingSystem eq 'Linux' and startswith(displayName,'SRV-0')",
        orderby=["displayName desc"],
        select=["id", "displayName", "operatingSystem", "trustType"],
        count=True,
        top=3,
    )
    configuration = RequestConfiguration(query_parameters=chosen)
    configuration.headers.add("ConsistencyLevel", "eventual")
    some = await client.devices.get(configuration)

    made = await client.groups.post(
        Group(
            display_name="Made by the SDK",
            mail_enabled=False,
            mail_nickname="sdk",
            security_enabled=True,
            group_types=[],
        )
    )
    await client.groups.by_group_id(made.id).patch(Group(description="Changed by the SDK"))
    member = some.value[0].id
    await client.groups.by_group_id(made.id).members.ref.post(
        ReferenceCreate(odata_id=f"https://graph.microsoft.com/v1.0/directoryObjects/{member}")
    )
    members = await client.groups.by_group_id(made.id).members.graph_device.get()
    read = await client.groups.by_group_id(made.id).get()
    delta = await client.groups.delta.get()
    await client.groups.by_group_id(made.id).members.by_directory_object_id(member).ref.delete()
    await client.groups.by_group_id(made.id).delete()
    try:
        await client.groups.by_group_id(made.id).get()
        error = None
    except ODataError as refused:
        error = {"code": refused.error.code, "status": refused.response_status_code}
    organization = await client.organization.get()
    return {
        "names": await paged(client),
        "some": [device.display_name for device in some.value],
        "count": some.odata_count,
        "unselected": [device.manufacturer for device in some.value],
        "members": [device.id for device in members.value],
        "member": member,
        "description": read.description,
        "deltaHasGroup": any(group.id == made.id for group in delta.value),
        "deltaLink": delta.odata_delta_link,
        "error": error,
        "organization": [each.id for each in organization.value],
    }


print(json.dumps(asyncio.run(main())))
