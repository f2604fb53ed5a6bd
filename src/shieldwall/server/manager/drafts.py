"""What an author decides about a policy, before anybody looked whether it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from shieldwall.catalog.findings import Finding
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import LOWEST_PRIORITY, SettingInstance
from shieldwall.server.directory.names import is_text
from shieldwall.server.storage.records import Policy

MAX_NAME_LENGTH: Final = 200
"""As ``PolicyDocument`` bounds it."""
MAX_REASON_LENGTH: Final = 1_000
_DEFAULT_SCOPE: Final = ("0",)
_MOST_DESCRIPTION: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDraft:
    """What an author decides about a policy."""

    name: str
    description: str = ""
    platforms: str
    technologies: str
    template_id: TemplateId
    role_scope_tag_ids: tuple[str, ...] = _DEFAULT_SCOPE
    settings: tuple[SettingInstance, ...]
    priority: int | None = None

    def enforced(self) -> PolicyDraft:
        """Return the part that is signed and sent."""
        return replace(self, description="", role_scope_tag_ids=())


def draft_of(policy: Policy) -> PolicyDraft:
    """Return what the author of a policy decided, to be changed and saved."""
    return PolicyDraft(
        name=policy.name,
        description=policy.description,
        platforms=policy.platforms,
        technologies=policy.technologies,
        template_id=policy.template_id,
        role_scope_tag_ids=policy.role_scope_tag_ids,
        settings=policy.settings,
        priority=policy.priority,
    )


def frame_findings(draft: PolicyDraft) -> Iterator[Finding]:
    """Yield what is wrong with a draft outside its settings."""
    if not draft.name.strip() or len(draft.name) > MAX_NAME_LENGTH:
        allowed = f"1 to {MAX_NAME_LENGTH} characters, not all of them spaces."
        yield Finding("name", "invalidName", "The name is missing or too long.", allowed)
    if len(draft.description) > _MOST_DESCRIPTION:
        allowed = f"At most {_MOST_DESCRIPTION} characters."
        yield Finding("description", "tooLong", "The description is too long.", allowed)
    if draft.priority is not None and not 1 <= draft.priority <= LOWEST_PRIORITY:
        allowed = f"A number from 1, the best, to {LOWEST_PRIORITY}."
        yield Finding("priority", "outOfRange", f"{draft.priority} is no priority.", allowed)


def reason_findings(reason: str) -> Iterator[Finding]:
    """Yield what is wrong with the reason given for a change."""
    if not is_text(reason, MAX_REASON_LENGTH):
        allowed = f"At most {MAX_REASON_LENGTH} characters, none of them control characters."
        yield Finding("reason", "tooLong", "The reason is too long or not plain text.", allowed)
