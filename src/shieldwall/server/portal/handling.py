"""What handlers of pages take: by these names the framework hands them the request, the services and the form."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency

from shieldwall.server.access.authorization import allow
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.portal.forms import SentForm
from shieldwall.server.portal.rendering import Rendering
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.portal.work.works import Works

PageRequest: TypeAlias = Request[Any, Any, State]
Services: TypeAlias = NamedDependency[AdminServices]
Renderer: TypeAlias = NamedDependency[Rendering]
Form: TypeAlias = NamedDependency[SentForm]
Working: TypeAlias = NamedDependency[Works]
"""Where long work is started; a handler takes it as ``works``."""
SIGNED_IN: Final = allow(ADMINISTRATOR)
"""Only people with a session; a route adds what their roles have to grant."""
