"""``/deviceManagement/configurationPolicyTemplates`` and ``configurationSettings``: what can be authored."""

from __future__ import annotations

from litestar import Response, get

from shieldwall.catalog.model import SettingDefinition
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.server.graph.policies import READ
from shieldwall.server.graph.requests import GraphRequest, answer, page_answer, query_of
from shieldwall.server.graph.resources import Json, template_resource
from shieldwall.server.services import AdminServices

_TEMPLATES = "/deviceManagement/configurationPolicyTemplates"
_SETTINGS = "/deviceManagement/configurationSettings"


@get(_TEMPLATES, opt=READ, sync_to_thread=False)
def list_templates(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    """List the policy templates."""
    query = query_of(request)
    found = sorted(services.catalog.templates.values(), key=lambda template: template.id)
    page = [each for each in found if query.page.after is None or each.id > query.page.after][: query.page.size]
    resources = [template_resource(template) for template in page]
    last = page[-1].id if page else None
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=last)


@get(_TEMPLATES + "/{template_id:str}", opt=READ, sync_to_thread=False)
def get_template(services: AdminServices, template_id: str) -> Response[bytes]:
    """Return one policy template."""
    return answer(template_resource(services.catalog.template(TemplateId(template_id))))


@get(_SETTINGS, opt=READ, sync_to_thread=False)
def list_definitions(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    """List the setting definitions."""
    query = query_of(request)
    found = sorted(services.catalog.definitions.values(), key=lambda definition: definition.id)
    page = [each for each in found if query.page.after is None or each.id > query.page.after][: query.page.size]
    resources = [_definition(definition) for definition in page]
    last = page[-1].id if page else None
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=last)


@get(_SETTINGS + "/{setting_id:str}", opt=READ, sync_to_thread=False)
def get_definition(services: AdminServices, setting_id: str) -> Response[bytes]:
    """Return one setting definition."""
    return answer(_definition(services.catalog.definition(SettingId(setting_id))))


def _definition(definition: SettingDefinition) -> Json:
    shape: Json = {
        "id": definition.id,
        "name": definition.id,
        "displayName": definition.display_name,
        "description": definition.description,
        "categoryId": definition.category,
        "applicability": {"platform": definition.platform, "technologies": "microsoftSense"},
    }
    if definition.options:
        shape["options"] = [
            {
                "itemId": option.item_id,
                "name": option.display_name,
                "displayName": option.display_name,
                "optionValue": {"value": option.value},
            }
            for option in definition.options
        ]
        shape["defaultOptionId"] = definition.default
    if definition.children:
        shape["childIds"] = list(definition.children)
    return shape
