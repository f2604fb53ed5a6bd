"""The firewall: is our table loaded, and who else decides on the same packets?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import MOST, Firewall, Table, short
from shieldwall.agent.providers.nftables import nft
from shieldwall.agent.providers.nftables.foreign import foreign_tables
from shieldwall.agent.providers.nftables.lines import TABLE


def look(host: Host) -> Firewall | None:
    """List the whole ruleset; ``None`` where there is no nft. Raises: HostError, ProviderError."""
    if host.find_program("nft") is None:
        return None
    listing: Sequence[Any] = nft.whole_ruleset(host)
    tables = [entry["table"] for entry in listing if "table" in entry]
    return Firewall(
        foreign=tuple(
            Table(family=short(each.family), name=short(each.name), manager=short(each.manager))
            for each in foreign_tables(listing)[:MOST]
        ),
        ours=any((table.get("family"), table.get("name")) == ("inet", TABLE) for table in tables),
    )
