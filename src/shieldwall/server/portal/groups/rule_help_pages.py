"""Help while a rule is being written: what may come next, what is wrong with it, whom it names."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from shieldwall.contract.ids import parse_group_id
from shieldwall.contract.strict_json import encode
from shieldwall.policy.rule_completion import Expected, Part, expected_at
from shieldwall.policy.rule_syntax import MAX_LENGTH
from shieldwall.policy.rule_tree import MEMBER_OF, quoted
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.directory import groups
from shieldwall.server.directory.attributes import values_in_use
from shieldwall.server.directory.names import visible
from shieldwall.server.portal.answer_headers import HEADERS
from shieldwall.server.portal.groups.rule_forms import groups_like, rule_of, what_is_said
from shieldwall.server.portal.groups.words import note_of
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import language_of, languages
from shieldwall.server.portal.sessions import check_form

_MOST_OFFERED: Final = 12
"""Words that a list shows without being scrolled; typing on narrows them."""


@get("/rule-words", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.LISTED), sync_to_thread=True)
def offer_words(services: Services, request: PageRequest) -> Response[bytes]:
    """Say what may come at a place of a rule: ``rule`` is its text, ``at`` the place, counted from 0."""
    text = request.query_params.get("rule", "")[:MAX_LENGTH]
    place = request.query_params.get("at", "")
    expected = expected_at(text, int(place) if place.isascii() and place.isdigit() and len(place) < 5 else len(text))
    said = language_of(request.headers.get("accept-language", ""), languages())
    offered = _values(services, sight_of(request), expected)
    offered += [
        {"text": word.text, "note": said.text(note) if (note := note_of(word.part, word.text)) else ""}
        for word in expected.words
    ]
    answer = {"start": expected.start, "end": expected.end, "words": offered[:_MOST_OFFERED]}
    return Response(encode(answer), media_type="application/json", headers=dict(HEADERS))


@post("/rule-check", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS), sync_to_thread=True, status_code=200)
def check_rule(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Say what is wrong with a rule, or whom it names; ``group`` is the group that it is for, if that is there yet."""
    check_form(services, request, form)
    with services.database.read() as connection:
        group_id = None
        if form.get("group"):
            group_id = groups.get_group(connection, services.tenant.id, parse_group_id(form["group"])).id
        said = what_is_said(services, connection, sight_of(request), group_id, rule_of(form))
    return rendering.page(request, "groups/rule_said.html", said=said, is_new=group_id is None)


HANDLERS: Final[tuple[Any, ...]] = (offer_words, check_rule)


def _values(services: AdminServices, sight: Sight, expected: Expected) -> list[dict[str, str]]:
    """Return the values that fit, as they are written in a rule; those that nobody can see as they are stay out."""
    if expected.asks is None:
        return []
    typed = expected.typed.casefold()
    with services.database.read() as connection:
        if expected.asks == MEMBER_OF:
            found = groups_like(connection, sight, "")
            return [
                {"text": quoted(each.id), "note": visible(each.display_name)}
                for each in found
                if typed in each.display_name.casefold() or each.id.startswith(typed)
            ]
        values = values_in_use(connection, services.tenant.id, expected.asks, sight.devices())
    fitting = [each for each in values if typed in each.casefold() and visible(each) == each]
    return [{"text": quoted(each), "note": note_of(Part.VALUE, each)} for each in fitting]
