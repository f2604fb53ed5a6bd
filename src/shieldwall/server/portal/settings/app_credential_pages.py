"""What apps sign in with: secrets, shown once, and certificates, whose keys stay where they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import app_credentials, apps
from shieldwall.server.directory.apps import giving_of_person
from shieldwall.server.directory.first_party import require_not_ours
from shieldwall.server.portal.forms import whole
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.errors import NotFoundError

_MAY: Final = SIGNED_IN | needs(ResourceAction.UPDATE_APPLICATIONS)
_WRITE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_APPLICATIONS, sensitive=True)
_ONE: Final = "/apps/{client_id:str}"
_CREDENTIAL: Final = _ONE + "/credentials/{credential_id:str}"


@post(_ONE + "/secrets", opt=_WRITE, sync_to_thread=True, status_code=200)
def add_secret(
    services: Services, rendering: Renderer, request: PageRequest, client_id: FromPath[str], form: Form
) -> Response[str]:
    """Give an app one more secret, which is on this page and nowhere else."""
    check_form(services, request, form)
    with services.database.write() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
        require_not_ours(app)
        apps.require_holds(giving_of_person(caller_of(request).access), app)
        credential, secret = app_credentials.add_secret(
            connection,
            acting_at(services, request),
            app,
            display_name=form.get("name", "").strip(),
            lifetime=timedelta(days=whole(form, "days", "Days")),
        )
    return rendering.page(
        request, "settings/app_secret.html", section="/apps", app=app, credential=credential, secret=secret
    )


@post(_ONE + "/certificates", opt=_WRITE, sync_to_thread=True)
def add_certificate(services: Services, request: PageRequest, client_id: FromPath[str], form: Form) -> Redirect:
    """Let an app show who it is by a certificate."""
    check_form(services, request, form)
    with services.database.write() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
        require_not_ours(app)
        apps.require_holds(giving_of_person(caller_of(request).access), app)
        pem = form.get("certificate", "").encode()
        acting, name = acting_at(services, request), form.get("name", "").strip()
        app_credentials.add_certificate(connection, acting, app, pem, display_name=name)
    return redirect(f"/apps/{app.client_id}")


@get(_CREDENTIAL + "/remove", opt=_MAY, sync_to_thread=True)
def ask_to_remove(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    client_id: FromPath[str],
    credential_id: FromPath[str],
) -> Response[str]:
    """Say what taking a secret or certificate away would do."""
    with services.database.read() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
        kept = {each.id: each for each in app_credentials.credentials_of(connection, app)}
    credential = kept.get(credential_id)
    if credential is None:
        raise NotFoundError(f"{app.display_name} has no secret or certificate {credential_id[:64]}.")
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/apps",
        label=marked("Remove what the app signs in with"),
        subject=f"{app.display_name}: {credential.display_name}",
        effect=(
            marked("Programs that use it get no token any more, and every token that the app was handed ends now."),
            marked("Programs that hold another secret or certificate of the app ask for a new token and go on."),
        ),
        action=f"/apps/{app.client_id}/credentials/{credential.id}/remove",
        back=f"/apps/{app.client_id}",
    )


@post(_CREDENTIAL + "/remove", opt=_WRITE, sync_to_thread=True)
def remove_credential(
    services: Services, request: PageRequest, client_id: FromPath[str], credential_id: FromPath[str], form: Form
) -> Redirect:
    """Take a secret or certificate away."""
    check_form(services, request, form)
    with services.database.write() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
        app_credentials.remove_credential(connection, acting_at(services, request), app, credential_id)
    return redirect(f"/apps/{app.client_id}")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    add_secret,
    add_certificate,
    ask_to_remove,
    remove_credential,
)
