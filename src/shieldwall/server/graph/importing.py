"""Exported policies read leniently: what fits becomes a draft, and every part that does not is named.

Writing a policy is strict: one fault refuses the whole. An export comes from elsewhere, another version or another
tenant, and most of it is good. So here what has a fault is left out, and each fault is reported once with its place.
Nothing is dropped in silence.

Pure: what is wrong with a draft is for ``check`` to say, which may know more than the catalog does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from shieldwall.catalog.findings import Finding
from shieldwall.catalog.model import Catalog, PolicyTemplate
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TemplateId
from shieldwall.server.graph.imported_settings import ImportedSettings
from shieldwall.server.graph.policy_bodies import AUTHORED, READ_ONLY, TEMPLATE_MEMBERS
from shieldwall.server.graph.requests import is_annotation
from shieldwall.server.manager.policies import PolicyDraft

Check: TypeAlias = Callable[[PolicyDraft], Sequence[Finding]]
"""Says everything that is wrong with a draft."""

_OPERATIONS: Final = "#microsoft.graph."
"""How the names of operations begin, which Graph writes beside the members of a resource."""


_TOO_MANY: Final = frozenset({"duplicateSetting", "duplicateItem", "wrongCount"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an export becomes: a draft, unless none is possible, the parts left out, and members that say nothing."""

    draft: PolicyDraft | None
    left_out: tuple[Finding, ...]
    ignored: tuple[str, ...]


def import_policy(catalog: Catalog, members: Mapping[str, Any], check: Check) -> Imported:
    """Read an exported policy. Pure as far as ``check`` is."""
    reading = _Reading(catalog, members)
    return Imported(
        draft=reading.draft(check),
        left_out=tuple(reading.left_out),
        ignored=tuple(sorted(name for name in members if _says_nothing(name))),
    )


class _Reading:
    """An export under reading: collects what is left out."""

    def __init__(self, catalog: Catalog, members: Mapping[str, Any]) -> None:
        self._catalog = catalog
        self._members = members
        self.left_out: list[Finding] = []

    def draft(self, check: Check) -> PolicyDraft | None:
        """Make a draft of all that fits, ``None`` where the policy as a whole has no place here."""
        self._report_what_is_not_authored()
        template = self._template()
        frame = self._frame()
        if template is None or "name" not in frame:
            return None
        frame = {"platforms": template.platforms, "technologies": template.technologies} | frame
        if not _goes_with(template, frame["technologies"]):
            message = f"{template.display_name} does not go with {frame['technologies'][:64]!r}; its own are taken."
            self.report("technologies", "technologiesMismatch", message, template.technologies)
            frame["technologies"] = template.technologies
        settings = ImportedSettings(self._members.get("settings"), self.left_out)
        draft = PolicyDraft(template_id=template.id, settings=settings.instances(), **frame)
        while findings := check(draft):
            whole = [finding for finding in findings if not settings.holds(finding)]
            if whole:
                self.left_out += whole
                return None
            # Of two that are the same, one may be left out for another fault; then the other is none too many.
            settings.leave_out([finding for finding in findings if finding.code not in _TOO_MANY] or findings)
            draft = replace(draft, settings=settings.instances())
        return draft

    def report(self, path: str, code: str, message: str, allowed: str = "") -> None:
        self.left_out.append(Finding(path, code, message, allowed))

    def _report_what_is_not_authored(self) -> None:
        for name in self._members:
            if name not in AUTHORED and name not in READ_ONLY and not is_annotation(name):
                self.report(name[:128], "unknownMember", "A policy has no such member here.")
        if self._members.get("assignments"):
            message = "The assignments name groups of where the policy came from."
            self.report("assignments", "assignmentsNotImported", message, "Assign the policy after the import.")

    def _template(self) -> PolicyTemplate | None:
        reference = self._members.get("templateReference")
        named = reference.get("templateId") if isinstance(reference, dict) else reference
        if not named:
            message = (
                "A policy of the plain settings catalogue: without an endpoint security template nothing of it applies."
            )
            self.report("templateReference", "noTemplate", message, "A template of this catalog.")
            return None
        found = self._catalog.templates.get(TemplateId(named)) if isinstance(named, str) else None
        if not isinstance(reference, dict) or found is None:
            message = f"There is no template {str(named)[:128]!r} here."
            self.report("templateReference.templateId", "unknownTemplate", message, "A template of this catalog.")
            return None
        for name in reference:
            if name not in TEMPLATE_MEMBERS and not is_annotation(name):
                self.report(f"templateReference.{name[:128]}", "unknownMember", "There is no such member here.")
        if not found.supported:
            message = f"{found.display_name} is not delivered through this channel."
            self.report("templateReference.templateId", "unsupportedTemplate", message)
            return None
        return found

    def _frame(self) -> dict[str, Any]:
        """Read the members beside template and settings; one that cannot be read is left out."""
        frame: dict[str, Any] = {}
        for name, (field, read) in AUTHORED.items():
            if name in {"templateReference", "settings"} or self._members.get(name) is None:
                continue
            try:
                frame[field] = read(name, self._members[name])
            except ShieldwallError as error:
                self.report(name, "invalidMember", error.cause.removeprefix(f"{name}: "), error.advice)
        if self._members.get("name") is None:
            self.report("name", "missingMember", "The policy has no name.", "A name.")
        return frame


def _goes_with(template: PolicyTemplate, technologies: str) -> bool:
    spellings = (template.technologies, *template.other_technologies)
    return set(technologies.split(",")) in [set(spelling.split(",")) for spelling in spellings]


def _says_nothing(name: str) -> bool:
    if is_annotation(name):
        return "@odata." not in name and not name.startswith(_OPERATIONS)
    return name in READ_ONLY and name not in AUTHORED and name != "assignments"
