"""How Windows is joined to a directory, by what ``dsregcmd /status`` prints. Pure.

The names in front of the colons are not translated. Source: Microsoft, *Troubleshoot devices by using the dsregcmd
command*, section "Device state".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_LINE: Final = re.compile(r"^\s*([A-Za-z][A-Za-z0-9]{0,63})\s*:\s*(.{0,512}?)\s*$", re.MULTILINE)
_YES: Final = "YES"
_URL: Final = "MdmUrl"


class Join(Struct, frozen=True, kw_only=True):
    """Which directories this machine belongs to. ``mdm_url`` is where its tenant sends devices to be managed."""

    directory: bool = False
    domain: bool = False
    enterprise: bool = False
    device_id: str = ""
    tenant_id: str = ""
    mdm_url: str = ""

    @property
    def kind(self) -> str:
        """The kind of join in a word."""
        match self.directory, self.domain:
            case True, True:
                return "hybrid"
            case True, False:
                return "directory"
            case False, True:
                return "domain"
            case _:
                return "none"


def read_join(printed: str) -> Join:
    """Read the report; what does not stand in it is not so."""
    said: Mapping[str, str] = {match[1]: match[2] for match in reversed(list(_LINE.finditer(printed)))}
    return Join(
        directory=said.get("AzureAdJoined", "").upper() == _YES,
        domain=said.get("DomainJoined", "").upper() == _YES,
        enterprise=said.get("EnterpriseJoined", "").upper() == _YES,
        device_id=said.get("DeviceId", "").lower(),
        tenant_id=said.get("TenantId", "").lower(),
        mdm_url=said.get(_URL, ""),
    )
