"""What a new target does to this device's protection: judged here once more, whatever the server thought of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from shieldwall.agent.applier.admission import Gate
from shieldwall.agent.applier.pin import MOST_NAMED, Change
from shieldwall.agent.applier.state import AS_PUBLISHED, Terms
from shieldwall.agent.providers.base import Desired
from shieldwall.catalog.model import Catalog
from shieldwall.contract.settings import PolicyDocument
from shieldwall.policy.classify import ChangeClass, classify_all, gravest
from shieldwall.policy.resolve import resolve


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to hold, and on which terms."""

    documents: tuple[PolicyDocument, ...] = ()
    terms: Terms = AS_PUBLISHED


Judge: TypeAlias = Callable[[Wanted, Wanted], Change]
"""Says what going from one to the other does. Pure."""


class CatalogJudge(Struct, frozen=True, kw_only=True):
    """Judges by the orders of strength of the applier's own catalog."""

    catalog: Catalog
    platform: str

    def __call__(self, before: Wanted, after: Wanted) -> Change:
        """Classify setting by setting; the gravest class speaks for the whole."""
        classes = classify_all(self.catalog, self._decided(before), self._decided(after))
        weakened = tuple(setting for setting, kind in classes.items() if kind is ChangeClass.WEAKEN)
        return Change(kind=gravest(classes.values()).value, settings=len(classes), weakened=weakened[:MOST_NAMED])

    def _decided(self, wanted: Wanted) -> Desired:
        admission = Gate(catalog=self.catalog, platform=self.platform).admit(wanted.documents, ())
        return resolve(self.catalog, admission.readable, wanted.terms.conflict_rules).decided()
