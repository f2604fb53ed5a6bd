"""The page of trusted authorities: who vouches for existing registrations, and whose TPMs count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from cryptography import x509
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.directory import authorities
from shieldwall.server.inventory import endorsements
from shieldwall.server.portal.forms import choice
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.tenants.trusted_authorities import AuthorityKind, TrustedAuthority
from shieldwall.trust.endorsement import read_endorsement_authority
from shieldwall.trust.existing_keys import read_directory_authority

Kind: TypeAlias = Literal["directory", "maker", "tpm"]

_PATH: Final = "/authorities"
_KINDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("directory", marked("existing registrations, by the certificates it issues")),
    ("maker", marked("TPMs that it made, by the certificates it issues")),
    ("tpm", marked("one TPM, by the SHA-256 of its endorsement key")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityRow:
    """An authority in the list; ``subject`` is whom its certificate names, or the hash of a single TPM's key."""

    authority: TrustedAuthority
    vouches_for: str
    subject: str
    expires_at: datetime | None


@get(_PATH, opt=SIGNED_IN | needs(ResourceAction.READ_DIRECTORY), sync_to_thread=True)
def list_authorities(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show who is trusted with what, and the form that adds somebody."""
    with services.database.read() as connection:
        rows = _rows(_all(connection, services.tenant.id))
    return rendering.page(request, "settings/authorities.html", section="/packages", rows=rows, kinds=_KINDS)


@post(_PATH, opt=SIGNED_IN | needs(ResourceAction.UPDATE_DIRECTORY), sync_to_thread=True)
def trust_authority(services: Services, request: PageRequest, form: Form) -> Redirect:
    """Trust an authority by its certificate, or one TPM by its hash."""
    check_form(services, request, form)
    kind = choice(form, "kind", "Vouches for", [kind for kind, _ in _KINDS])
    name, value = form.get("name", "").strip(), form.get("certificate", "").replace("\r\n", "\n").strip()
    with services.database.write() as connection:
        acting = acting_for(services, request)
        match kind:
            case "directory":
                authorities.trust_authority(connection, acting, display_name=name, pem=value + "\n")
            case "maker":
                endorsements.trust_maker(connection, acting, display_name=name, certificate=value)
            case "tpm":
                endorsements.trust_tpm(connection, acting, display_name=name, ek_hash=value)
    return redirect(_PATH)


@get(
    _PATH + "/{authority_id:str}/distrust", opt=SIGNED_IN | needs(ResourceAction.UPDATE_DIRECTORY), sync_to_thread=True
)
def ask_to_distrust(
    services: Services, rendering: Renderer, request: PageRequest, authority_id: FromPath[str]
) -> Response[str]:
    """Ask before somebody is trusted no more."""
    with services.database.read() as connection:
        authority = _one(connection, services.tenant.id, authority_id)
    if authority.kind is AuthorityKind.DIRECTORY:
        effect = [marked("No device can prove an existing registration with certificates of this authority any more.")]
    else:
        effect = [
            marked("No device can prove its TPM by this any more; where one TPM is meant, its device loses the level.")
        ]
    return rendering.page(
        request,
        "settings/confirm.html",
        section="/packages",
        label=marked("Trust no more"),
        subject=authority.display_name,
        effect=[*effect, marked("Devices that are here already stay.")],
        action=f"{_PATH}/{authority.id}/distrust",
        back=_PATH,
    )


@post(
    _PATH + "/{authority_id:str}/distrust", opt=SIGNED_IN | needs(ResourceAction.UPDATE_DIRECTORY), sync_to_thread=True
)
def distrust_authority(services: Services, request: PageRequest, authority_id: FromPath[str], form: Form) -> Redirect:
    """Trust an authority or a TPM no more."""
    check_form(services, request, form)
    with services.database.write() as connection:
        authority = _one(connection, services.tenant.id, authority_id)
        is_directory = authority.kind is AuthorityKind.DIRECTORY
        distrust = authorities.distrust_authority if is_directory else endorsements.distrust
        distrust(connection, acting_for(services, request), authority.id)
    return redirect(_PATH)


HANDLERS: Final[tuple[Any, ...]] = (list_authorities, trust_authority, ask_to_distrust, distrust_authority)


def _all(connection: Connection, tenant_id: TenantId) -> tuple[TrustedAuthority, ...]:
    return (
        *authorities.list_authorities(connection, tenant_id),
        *endorsements.list_endorsements(connection, tenant_id),
    )


def _one(connection: Connection, tenant_id: TenantId, authority_id: str) -> TrustedAuthority:
    for each in _all(connection, tenant_id):
        if each.id == authority_id:
            return each
    raise NotFoundError("There is no such authority.")


def _rows(found: Iterable[TrustedAuthority]) -> list[AuthorityRow]:
    return [_row(each) for each in found]


def _row(authority: TrustedAuthority) -> AuthorityRow:
    if authority.kind is AuthorityKind.DIRECTORY:
        return _certified(authority, marked("existing registrations"), read_directory_authority)
    if endorsements.is_hash(authority):
        return AuthorityRow(
            authority=authority, vouches_for=marked("one TPM"), subject=authority.value, expires_at=None
        )
    return _certified(authority, marked("TPMs of its make"), read_endorsement_authority)


def _certified(authority: TrustedAuthority, vouches_for: str, read: Callable[[str], x509.Certificate]) -> AuthorityRow:
    certificate = read(authority.value)
    return AuthorityRow(
        authority=authority,
        vouches_for=vouches_for,
        subject=certificate.subject.rfc4514_string(),
        expires_at=certificate.not_valid_after_utc,
    )
