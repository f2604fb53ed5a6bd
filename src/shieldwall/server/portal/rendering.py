"""Turning a template and what it shows into a page: escaped always, sent with headers that trust nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from babel.numbers import format_compact_decimal, format_decimal, format_percent
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect
from markupsafe import Markup, escape

from shieldwall.server.access.authorization import Principal
from shieldwall.server.admin.parts import part_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.tenant_services import services_of_caller
from shieldwall.server.directory.audit_trail import in_words
from shieldwall.server.directory.names import visible, visible_lines
from shieldwall.server.portal.answer_headers import HEADERS
from shieldwall.server.portal.assets import load_assets
from shieldwall.server.portal.language import Language, language_of, languages
from shieldwall.server.portal.live.topics import permitted
from shieldwall.server.portal.live.watching import Watching
from shieldwall.server.portal.navigation import MENU
from shieldwall.server.portal.openings import openings
from shieldwall.server.portal.sessions import TENANTS, form_token
from shieldwall.server.portal.themes import THEMES, theme_of
from shieldwall.server.portal.words import HEALTH, STATES, ago, plain, product_state, who
from shieldwall.server.portal.work.works import Works

__all__ = ["HEADERS", "Rendering", "load_templates", "redirect"]

_LANGUAGE: Final = "language"


@dataclass(frozen=True, slots=True)
class Rendering:
    """The templates, and what every page needs beside its own."""

    services: AdminServices
    environment: Environment

    def page(
        self,
        request: Request[Any, Any, Any],
        template: str,
        *,
        status: int = 200,
        live: Sequence[str] = (),
        **shown: Any,
    ) -> Response[str]:
        """Render a page, or a part of one, for whoever asks.

        ``live`` says what the page is about (``live.topics``): its parts that are marked ``data-live`` follow that.
        """
        principal = request.scope.get("user")
        person = principal if isinstance(principal, Principal) else None
        topics, mark = self._followed(request, person, live)
        content = self.environment.get_template(template).render(
            tenant=services_of_caller(self.services, principal).tenant,
            principal=person,
            sees_tenants=person is not None and TENANTS in person.permissions,
            may=openings(request, person),
            shown_at=self.services.clock.now(),
            theme=theme_of(request),
            live_topics=topics,
            live_mark=mark,
            **{
                _LANGUAGE: language_of(request.headers.get("accept-language", ""), languages()),
                "section": "",
                "csrf": form_token(request),
                **shown,
            },
        )
        return Response(content, status_code=status, media_type="text/html", headers=dict(HEADERS))

    def _followed(
        self, request: Request[Any, Any, Any], person: Principal | None, topics: Sequence[str]
    ) -> tuple[tuple[str, ...], str]:
        """Return what this person may follow of a page's topics, and how that stands."""
        if person is None or not topics or "x-requested-for" in request.headers:  # a refresh goes on following
            return (), ""
        works, watching = part_of(request.scope, Works), part_of(request.scope, Watching)
        found = permitted(self.services, works, person, topics)
        return found, watching.mark(person.tenant_id, found) if found else ""


def redirect(path: str, cookies: Sequence[Cookie] = ()) -> Redirect:
    """Send a browser on, with the headers of every other answer."""
    return Redirect(path, status_code=303, headers=dict(HEADERS), cookies=list(cookies))


def load_templates() -> Environment:
    """Load the templates, which know nothing of a server.

    A name that a template misspells is an error, not an empty place.
    """
    environment = Environment(
        loader=PackageLoader("shieldwall.server.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_inert,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    # ``{% trans %}`` hands its values to these as arguments, and none of them becomes text without passing ``_inert``.
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the extension adds it
    environment.globals |= {"_": _text, "gettext": _text, "ngettext": _counted}
    environment.filters["act"] = in_words
    environment.filters["ago"] = _ago
    environment.filters["list_pair"] = lambda value: (value, value)
    environment.filters["number"] = _number
    environment.filters["compact"] = _compact
    environment.filters["percent"] = _percent
    environment.filters["plain"] = plain
    environment.filters["product_state"] = product_state
    environment.filters["who"] = who
    environment.filters["written"] = _written
    environment.tests["opened_by"] = lambda path, may: may(path)
    environment.globals["states"] = STATES
    environment.globals["health_words"] = HEALTH
    environment.globals["assets"] = load_assets().paths
    environment.globals["menu"] = MENU
    environment.globals["themes"] = THEMES
    return environment


@pass_context
def _text(context: Context, message: str, /, **values: Any) -> Markup:
    return _filled(_language(context).text(message), values)


@pass_context
def _counted(context: Context, one: str, many: str, count: int, /, **values: Any) -> Markup:
    return _filled(_language(context).counted(one, many, count), {"num": _number(context, count), **values})


def _filled(text: str, values: dict[str, Any]) -> Markup:
    # Messages are ours and may hold markup; what is put into them is escaped and made visible.
    return Markup(text) % {name: escape(_inert(value)) for name, value in values.items()}  # noqa: S704 - see above


def _language(context: Context) -> Language:
    language = context[_LANGUAGE]
    assert isinstance(language, Language), "every page is rendered for somebody's language"
    return language


@pass_context
def _ago(context: Context, at: datetime) -> Markup:
    one, many, count = ago(at, context["shown_at"])
    return _counted(context, one, many, count)


@pass_context
def _compact(context: Context, value: float) -> str:
    """Write a number as short as an axis has room for: 20K."""
    return format_compact_decimal(value, locale=_language(context).tag.replace("-", "_"), fraction_digits=1)


@pass_context
def _percent(context: Context, part: float) -> str:
    """Write a part of one; what is there and less than a hundredth does not become nothing."""
    locale = _language(context).tag.replace("-", "_")
    return f"< {format_percent(0.01, locale=locale)}" if 0 < part < 0.01 else format_percent(part, locale=locale)


@pass_context
def _number(context: Context, value: float) -> str:
    return format_decimal(value, locale=_language(context).tag.replace("-", "_"))


def _written(value: Any) -> Any:
    """Keep the lines of a text that people write in several: a form would send back how they are shown instead."""
    return escape(visible_lines(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _inert(value: Any) -> Any:
    # Whatever a template prints passes here, so no template can forget it. Markup is what a macro has printed already.
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
