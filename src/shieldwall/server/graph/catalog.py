"""What can be authored: ``configurationPolicyTemplates``, ``configurationSettings`` and ``configurationCategories``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final, TypeVar

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, needs
from shieldwall.server.graph.describing import lists, shows
from shieldwall.server.graph.policy_access import READ
from shieldwall.server.graph.query import Query
from shieldwall.server.graph.requests import (
    GraphRequest,
    Resources,
    Services,
    answer,
    list_answer,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.definitions import CATEGORY, DEFINITION
from shieldwall.server.graph.schemas.templates import SETTING_TEMPLATE, TEMPLATE
from shieldwall.server.storage.errors import NotFoundError

T = TypeVar("T")

_TEMPLATES: Final = "/deviceManagement/configurationPolicyTemplates"
_SETTINGS: Final = "/deviceManagement/configurationSettings"
_CATEGORIES: Final = "/deviceManagement/configurationCategories"
_WITH_SETTING_TEMPLATES: Final = frozenset({"settingTemplates"})
_WITH_DEFINITIONS: Final = frozenset({"settingDefinitions"})


@get(
    _TEMPLATES,
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(TEMPLATE, expand=_WITH_SETTING_TEMPLATES),
    sync_to_thread=False,
)
def list_templates(services: Services, resources: Resources, request: GraphRequest) -> Response[bytes]:
    """List the policy templates, in pages."""
    query = query_of(request, expandable=_WITH_SETTING_TEMPLATES)
    rows = [(key, resources.template(key, query.expand) or found) for key, found in _page(resources.templates, query)]
    return page_answer(services, request, query, rows)


@get(
    _TEMPLATES + "/{template_id:str}",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(TEMPLATE, expand=_WITH_SETTING_TEMPLATES),
    sync_to_thread=False,
)
def get_template(resources: Resources, request: GraphRequest, template_id: FromPath[str]) -> Response[bytes]:
    """Return one policy template."""
    query = query_of(request, expandable=_WITH_SETTING_TEMPLATES)
    return answer(query.shape(_found(resources.template(template_id, query.expand), "template", template_id)))


@get(
    _TEMPLATES + "/{template_id:str}/settingTemplates",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(SETTING_TEMPLATE, expand=_WITH_DEFINITIONS),
    sync_to_thread=False,
)
def list_setting_templates(
    services: Services, resources: Resources, request: GraphRequest, template_id: FromPath[str]
) -> Response[bytes]:
    """List the settings that a template offers."""
    query = query_of(request, expandable=_WITH_DEFINITIONS)
    found = _found(resources.setting_templates(template_id, query.expand), "template", template_id)
    return list_answer(services, request, query, found)


@get(_SETTINGS, opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(DEFINITION), sync_to_thread=False)
def list_definitions(services: Services, resources: Resources, request: GraphRequest) -> Response[bytes]:
    """List the setting definitions, in pages."""
    query = query_of(request)
    return page_answer(services, request, query, _page(resources.definitions, query))


@get(
    _SETTINGS + "/{setting_id:str}",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(DEFINITION),
    sync_to_thread=False,
)
def get_definition(resources: Resources, request: GraphRequest, setting_id: FromPath[str]) -> Response[bytes]:
    """Return one setting definition."""
    query = query_of(request)
    return answer(query.shape(_found(resources.definitions.get(setting_id), "setting", setting_id)))


@get(_CATEGORIES, opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(CATEGORY), sync_to_thread=False)
def list_categories(services: Services, resources: Resources, request: GraphRequest) -> Response[bytes]:
    """List the categories of settings, in pages."""
    query = query_of(request)
    return page_answer(services, request, query, _page(resources.categories, query))


@get(
    _CATEGORIES + "/{category_id:str}",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(CATEGORY),
    sync_to_thread=False,
)
def get_category(resources: Resources, request: GraphRequest, category_id: FromPath[str]) -> Response[bytes]:
    """Return one category."""
    query = query_of(request)
    return answer(query.shape(_found(resources.categories.get(category_id), "category", category_id)))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_templates,
    get_template,
    list_setting_templates,
    list_definitions,
    get_definition,
    list_categories,
    get_category,
)


def _page(entries: Mapping[str, Json], query: Query) -> list[tuple[str, Json]]:
    after = query.after or ""
    return list(islice(((key, entry) for key, entry in entries.items() if key > after), query.page.size))


def _found(resource: T | None, kind: str, key: str) -> T:
    if resource is None:
        raise NotFoundError(f"There is no {kind} {key[:128]!r}.")
    return resource
