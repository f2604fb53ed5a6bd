"""What differs between two revisions of a policy, setting by setting. Pure.

A catalog may have let go of a setting that an old revision holds. Such a setting is told by its id, its value is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shieldwall.catalog.model import Catalog, UnknownSettingError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.classify import ChangeClass, classify_all, gravest
from shieldwall.policy.flatten import MismatchedSettingError, put
from shieldwall.policy.values import SettingValue


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionChange:
    """One setting that differs; a value is absent where the revision does not set it."""

    setting: SettingId
    before: SettingValue | None
    after: SettingValue | None
    change_class: ChangeClass


def changes_between(
    catalog: Catalog, before: PolicyDocument | None, after: PolicyDocument
) -> tuple[RevisionChange, ...]:
    """Return every setting that differs, in the order of setting ids."""
    was = {} if before is None else _values(catalog, before)
    now = _values(catalog, after)
    return tuple(
        RevisionChange(setting=setting, before=was.get(setting), after=now.get(setting), change_class=change_class)
        for setting, change_class in classify_all(catalog, was, now).items()
    )


def class_between(catalog: Catalog, before: PolicyDocument, after: PolicyDocument) -> ChangeClass:
    """Return what the change from one revision to the other does to the protection, taken together."""
    return gravest(change.change_class for change in changes_between(catalog, before, after))


def _values(catalog: Catalog, document: PolicyDocument) -> Mapping[SettingId, SettingValue]:
    values: dict[SettingId, SettingValue] = {}
    for instance in document.settings:
        try:
            put(catalog, (instance,), values)
        except (UnknownSettingError, MismatchedSettingError):
            values[instance.definition] = digest_of(instance)  # enough to tell whether it differs
    return values
