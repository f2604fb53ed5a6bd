"""What browsers load beside the pages: built from ``front/`` by ``scripts/front-end``, named by their content.

A name that holds a digest of what it stands for never stands for anything else, so browsers keep it for a year.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.portal.answer_headers import HEADERS
from shieldwall.server.storage.errors import NotFoundError

_BUILT: Final = Path(__file__).parent / "static" / "built"
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class NotBuiltError(ShieldwallError):
    """The files that browsers load are not there."""

    code = "frontEndNotBuilt"
    remedy = "Run scripts/front-end, or make setup; installed packages bring the files along."


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent, and its gzip form."""

    name: str
    media_type: str
    content: bytes
    zipped: bytes


@dataclass(frozen=True, slots=True)
class Assets:
    """All files of one build."""

    paths: Mapping[str, str]
    """Where each file is served, by the name it has in its source."""
    files: Mapping[str, Asset]


@cache
def load_assets() -> Assets:
    """Read what was built; once, for it does not change while a server runs. Raises: NotBuiltError."""
    try:
        manifest: dict[str, str] = json.loads((_BUILT / "manifest.json").read_bytes())
        files = {kept: _read(kept) for kept in manifest.values()}
    except FileNotFoundError:
        raise NotBuiltError("What browsers load of the admin center has not been built.") from None
    return Assets(paths={name: f"/static/{kept}" for name, kept in manifest.items()}, files=files)


@get("/static/{name:str}", opt=PUBLIC, sync_to_thread=False)
def static_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """Serve a file that was built, by the name that holds its digest; no others."""
    asset = load_assets().files.get(name)
    if asset is None:
        raise NotFoundError("There is no such file.")
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.zipped, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def _read(name: str) -> Asset:
    file = _BUILT / name
    return Asset(
        name=name,
        media_type=_MEDIA_TYPES[file.suffix],
        content=file.read_bytes(),
        zipped=(_BUILT / f"{name}.gz").read_bytes(),
    )
