"""``/deviceManagement/configurationPolicyTemplates`` and ``configurationSettings``: what can be authored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.catalog.model import SettingDefinition
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.server.graph.policies import READ
from shieldwall.server.graph.query import Query
from shieldwall.server.graph.requests import GraphRequest, Services, answer, page_answer, query_of
from shieldwall.server.graph.resources import Json, template_resource
from shieldwall.server.storage.errors import NotFoundError

T = TypeVar("T")

_TEMPLATES: Final = "/deviceManagement/configurationPolicyTemplates"
_SETTINGS: Final = "/deviceManagement/configurationSettings"


@get(_TEMPLATES, opt=READ, sync_to_thread=False)
def list_templates(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the policy templates, in pages."""
    query = query_of(request)
    found = _page(services.catalog.templates, query)
    return page_answer(services, request, query, [(key, template_resource(template)) for key, template in found])


@get(_TEMPLATES + "/{template_id:str}", opt=READ, sync_to_thread=False)
def get_template(services: Services, request: GraphRequest, template_id: FromPath[str]) -> Response[bytes]:
    """Return one policy template."""
    query = query_of(request)
    template = services.catalog.templates.get(TemplateId(template_id))
    if template is None:
        raise NotFoundError(f"There is no template {template_id[:128]!r}.")
    return answer(query.shape(template_resource(template)))


@get(_SETTINGS, opt=READ, sync_to_thread=False)
def list_definitions(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the setting definitions, in pages."""
    query = query_of(request)
    found = _page(services.catalog.definitions, query)
    return page_answer(services, request, query, [(key, _definition(definition)) for key, definition in found])


@get(_SETTINGS + "/{setting_id:str}", opt=READ, sync_to_thread=False)
def get_definition(services: Services, request: GraphRequest, setting_id: FromPath[str]) -> Response[bytes]:
    """Return one setting definition."""
    query = query_of(request)
    definition = services.catalog.definitions.get(SettingId(setting_id))
    if definition is None:
        raise NotFoundError(f"There is no setting {setting_id[:128]!r}.")
    return answer(query.shape(_definition(definition)))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_templates,
    get_template,
    list_definitions,
    get_definition,
)


def _page(entries: Mapping[Any, T], query: Query) -> list[tuple[str, T]]:
    after = query.after or ""
    keys = sorted(key for key in entries if key > after)[: query.page.size]
    return [(str(key), entries[key]) for key in keys]


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
