"""The names under which clients ask for tokens, which API each of them means, and what scopes say.

Pure. A token is for the name that was asked for, and each API takes the tokens of its own names alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from shieldwall.contract.errors import ShieldwallError

DEFAULT: Final = ".default"
OPENID: Final = frozenset({"openid", "profile", "email", "offline_access"})
"""Scopes of OpenID Connect itself, which are about the sign-in and not about an API."""
OF_EVERYBODY: Final = frozenset({"User.Read"})
"""What any application may read for somebody who signs in to it: who they are."""
LONGEST_SCOPE: Final = 4096


class Api(StrEnum):
    """An API that takes access tokens, by the name of its audience."""

    GRAPH = "https://graph.microsoft.com"
    DEFENDER = "https://api.securitycenter.microsoft.com"


GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"
_ALIASES: Final = {
    Api.GRAPH: (Api.GRAPH.value, GRAPH_APP_ID),
    Api.DEFENDER: (
        Api.DEFENDER.value,
        "https://api.security.microsoft.com",
        "https://securitycenter.onmicrosoft.com/windowsatpservice",
        "fc780465-2017-40d4-a0c5-307022471b92",
    ),
}
"""How clients of either API name it: by its addresses, or by its well-known application id."""


class InvalidScopeError(ShieldwallError):
    """A scope that is not one of ours, or that the application may not ask for."""

    code = "invalidTokenScope"
    remedy = "Ask for <resource>/.default, or for permissions that the application was given."


@dataclass(frozen=True, slots=True)
class ResourceNames:
    """What the addresses of this server, and the published names of the APIs that it answers for, stand for."""

    public_urls: tuple[str, ...]

    def audiences(self, api: Api) -> frozenset[str]:
        """Return every audience that an API takes tokens of."""
        return frozenset((*_ALIASES[api], *self._own()))

    def knows(self, name: str) -> bool:
        """Tell whether a name means one of our APIs."""
        return any(name in self.audiences(api) for api in Api)

    def _own(self) -> Iterable[str]:
        for url in self.public_urls:
            yield url
            yield f"https://{urlsplit(url).hostname}"


@dataclass(frozen=True, slots=True)
class WantedScopes:
    """What a ``scope`` asks for: an audience, names of permissions (or ``.default``), and what OpenID Connect adds."""

    audience: str
    names: frozenset[str]
    openid: frozenset[str] = frozenset()

    @property
    def is_default(self) -> bool:
        """Whether all that the application may is asked for, rather than single permissions."""
        return DEFAULT in self.names

    def granted(self, delegated: Iterable[str]) -> tuple[str, ...]:
        """Return the permissions that a person's token gets, of those that the application may use for people.

        Raises:
            InvalidScopeError: One that is asked for by name was not given to the application.
        """
        given = {*delegated, *OF_EVERYBODY}
        if missing := sorted(self.names - given - {DEFAULT}):
            raise InvalidScopeError(f"The application may not ask people for {missing[0][:64]!r}.")
        named = self.names - {DEFAULT}
        return tuple(sorted(given if self.is_default else named or OF_EVERYBODY))


def wanted_scopes(text: str, resources: ResourceNames) -> WantedScopes:
    """Read a ``scope``: ``<resource>/<permission>`` or a bare permission of Graph, with blanks between.

    Raises:
        InvalidScopeError: A resource that is not ours, or two at once.
    """
    if len(text) > LONGEST_SCOPE:
        raise InvalidScopeError("The scope is too long.")
    openid, names, audiences = set[str](), set[str](), set[str]()
    for each in text.split():
        if each in OPENID:
            openid.add(each)
            continue
        resource, slash, name = each.rpartition("/")
        named = resource.rstrip("/") if slash else Api.GRAPH.value
        if not name or not resources.knows(named):
            raise InvalidScopeError(f"The scope {each[:128]!r} is not valid here.")
        audiences.add(named)
        names.add(name)
    if len(audiences) > 1:
        raise InvalidScopeError("All scopes of a request have to be of one resource.")
    return WantedScopes(next(iter(audiences), Api.GRAPH.value), frozenset(names), frozenset(openid))
