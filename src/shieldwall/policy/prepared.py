"""A policy document made ready once for deciding many times: flat values, its moment, and what each setting needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId, SettingId, TemplateId
from shieldwall.contract.settings import PolicyDocument, SettingInstance, walk
from shieldwall.policy.applicability import OLDEST, Traits, Version, chosen, parse_version
from shieldwall.policy.flatten import put
from shieldwall.policy.outcomes import Contender, Reason
from shieldwall.policy.values import SettingValue

_NO_MOMENT = datetime.min.replace(tzinfo=UTC)


class PreparedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a policy. ``needs`` is the catalog version from which an agent knows all parts of a setting."""

    id: PolicyId
    name: str
    revision: int
    platforms: str
    template_id: TemplateId
    contenders: Mapping[SettingId, Contender]
    needs: Mapping[SettingId, Version]

    def reason_against(self, setting: SettingId, device: Traits) -> Reason | None:
        """Say why a device has nothing that one of the settings could be set on, ``None`` when it has."""
        return device.reason_against(self.platforms, self.needs[setting])


def prepare(catalog: Catalog, document: PolicyDocument) -> PreparedPolicy:
    """Make a document ready.

    Raises:
        UnknownSettingError: The catalog does not know a setting.
        MismatchedSettingError: A value does not have the shape of its definition.
    """
    values: dict[SettingId, SettingValue] = {}
    needs: dict[SettingId, Version] = {}
    template = catalog.templates.get(document.template_id)
    moment = _moment(document.modified_at)
    least = OLDEST if template is None else parse_version(template.since) or OLDEST
    for instance in document.settings:
        before = len(values)
        put(catalog, (instance,), values)
        needed = max((_needed(catalog, part) for part in walk((instance,))), default=least)
        needs.update(dict.fromkeys(list(values)[before:], max(needed, least)))
    return PreparedPolicy(
        id=document.policy_id,
        name=document.name,
        revision=document.revision,
        platforms=document.platforms,
        template_id=document.template_id,
        contenders=MappingProxyType(
            {
                setting: Contender(
                    policy=document.policy_id,
                    policy_name=document.name,
                    value=value,
                    modified_at=document.modified_at,
                    moment=moment,
                    revision=document.revision,
                    priority=document.priority,
                )
                for setting, value in values.items()
            }
        ),
        needs=MappingProxyType(needs),
    )


def _moment(modified_at: str) -> datetime:
    """Read when a policy was modified; a moment that cannot be read is never the latest."""
    try:
        moment = datetime.fromisoformat(modified_at)
    except ValueError:
        return _NO_MOMENT
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _needed(catalog: Catalog, part: SettingInstance) -> Version:
    """Return the catalog version from which an agent knows one part of a setting, with the options it is set to."""
    definition = catalog.definition(part.definition)
    options = (definition.option(item_id) for item_id in chosen(part))
    versions = [definition.since, *(option.since for option in options if option is not None)]
    return max(parse_version(version) or OLDEST for version in versions)
