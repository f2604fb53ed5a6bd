"""What can be authored: ``configurationPolicyTemplates``, ``configurationSettings`` and ``configurationCategories``."""

from __future__ import annotations

from typing import Final, TypeVar

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.graph.describing import lists, shows
from shieldwall.server.graph.fields.catalog import (
    CATEGORY_FIELDS,
    DEFINITION_FIELDS,
    SETTING_TEMPLATE_FIELDS,
    TEMPLATE_FIELDS,
)
from shieldwall.server.graph.odata.selection import Expandable
from shieldwall.server.graph.policy_access import READ
from shieldwall.server.graph.query import Query
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    list_answer,
    page_answer,
    query_of,
    resources_of,
)
from shieldwall.server.graph.schemas.definitions import CATEGORY, DEFINITION
from shieldwall.server.graph.schemas.templates import SETTING_TEMPLATE, TEMPLATE
from shieldwall.server.storage.errors import NotFoundError

T = TypeVar("T")

_TEMPLATES: Final = "/deviceManagement/configurationPolicyTemplates"
_SETTINGS: Final = "/deviceManagement/configurationSettings"
_CATEGORIES: Final = "/deviceManagement/configurationCategories"
_WITH_SETTING_TEMPLATES: Final = frozenset({"settingTemplates"})
_WITH_DEFINITIONS: Final = frozenset({"settingDefinitions"})
_BELOW: Final[Expandable] = {"settingTemplates": {"settingDefinitions": {}}}


@get(
    _TEMPLATES,
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(TEMPLATE, expand=_WITH_SETTING_TEMPLATES),
    sync_to_thread=False,
)
def list_templates(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the policy templates, in pages."""
    query = query_of(request, expandable=_BELOW)
    listed = query.cut(query.fitting(TEMPLATE_FIELDS, resources_of(request).templates.values()), query.size)
    rows = [(name, resources_of(request).template(found["id"], _expanded(query)) or found) for name, found in listed]
    return page_answer(services, request, query, rows, TEMPLATE_FIELDS)


@get(
    _TEMPLATES + "/{template_id:str}",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(TEMPLATE, expand=_WITH_SETTING_TEMPLATES),
    sync_to_thread=False,
)
def get_template(request: GraphRequest, template_id: FromPath[str]) -> Response[bytes]:
    """Return one policy template."""
    query = query_of(request, expandable=_BELOW)
    found = _found(resources_of(request).template(template_id, _expanded(query)), "template", template_id)
    return answer(query.shape(found, TEMPLATE_FIELDS))


@get(
    _TEMPLATES + "/{template_id:str}/settingTemplates",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(SETTING_TEMPLATE, expand=_WITH_DEFINITIONS),
    sync_to_thread=False,
)
def list_setting_templates(services: Services, request: GraphRequest, template_id: FromPath[str]) -> Response[bytes]:
    """List the settings that a template offers."""
    query = query_of(request, expandable=_WITH_DEFINITIONS)
    found = _found(resources_of(request).setting_templates(template_id, query.expand), "template", template_id)
    return list_answer(services, request, query, found, SETTING_TEMPLATE_FIELDS)


@get(_SETTINGS, opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(DEFINITION), sync_to_thread=False)
def list_definitions(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the setting definitions, in pages."""
    query = query_of(request)
    rows = query.cut(query.fitting(DEFINITION_FIELDS, resources_of(request).definitions.values()), query.size)
    return page_answer(services, request, query, rows, DEFINITION_FIELDS)


@get(
    _SETTINGS + "/{setting_id:str}",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(DEFINITION),
    sync_to_thread=False,
)
def get_definition(request: GraphRequest, setting_id: FromPath[str]) -> Response[bytes]:
    """Return one setting definition."""
    query = query_of(request)
    return answer(
        query.shape(_found(resources_of(request).definitions.get(setting_id), "setting", setting_id), DEFINITION_FIELDS)
    )


@get(_CATEGORIES, opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(CATEGORY), sync_to_thread=False)
def list_categories(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the categories of settings, in pages."""
    query = query_of(request)
    rows = query.cut(query.fitting(CATEGORY_FIELDS, resources_of(request).categories.values()), query.size)
    return page_answer(services, request, query, rows, CATEGORY_FIELDS)


@get(
    _CATEGORIES + "/{category_id:str}",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(CATEGORY),
    sync_to_thread=False,
)
def get_category(request: GraphRequest, category_id: FromPath[str]) -> Response[bytes]:
    """Return one category."""
    query = query_of(request)
    return answer(
        query.shape(_found(resources_of(request).categories.get(category_id), "category", category_id), CATEGORY_FIELDS)
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_templates,
    get_template,
    list_setting_templates,
    list_definitions,
    get_definition,
    list_categories,
    get_category,
)


def _expanded(query: Query) -> frozenset[str]:
    """Return everything that is expanded of a template, also below."""
    below = {"settingDefinitions"} if query.expands("settingTemplates", "settingDefinitions") else set()
    return query.expand | below


def _found(resource: T | None, kind: str, key: str) -> T:
    if resource is None:
        raise NotFoundError(f"There is no {kind} {key[:128]!r}.")
    return resource
