"""Say everything that is wrong with a policy, each with the field it stands in.

The same function answers the administrator who writes a policy and guards the device that is told to enforce it; a
signature says who wrote a policy, not that it makes sense.
"""

from __future__ import annotations

from collections.abc import Iterator

from shieldwall.catalog.findings import Finding, InvalidPolicyError
from shieldwall.catalog.firewall import ServerEndpoints
from shieldwall.catalog.instances import InstanceChecker, Scope, places
from shieldwall.catalog.model import Catalog, PolicyTemplate
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import MAX_SETTINGS, SettingInstance, walk

__all__ = ["Finding", "InvalidPolicyError", "ServerEndpoints", "check", "validate", "validate_reusable"]


def check(
    catalog: Catalog,
    template_id: TemplateId,
    platforms: str,
    technologies: str,
    settings: tuple[SettingInstance, ...],
    *,
    server: ServerEndpoints | None = None,
) -> None:
    """Refuse a policy that is not valid. Raises: InvalidPolicyError."""
    findings = validate(catalog, template_id, platforms, technologies, settings, server=server)
    if findings:
        raise InvalidPolicyError(findings)


def validate(
    catalog: Catalog,
    template_id: TemplateId,
    platforms: str,
    technologies: str,
    settings: tuple[SettingInstance, ...],
    *,
    server: ServerEndpoints | None = None,
) -> tuple[Finding, ...]:
    """Return everything that is wrong with a policy, in the order of its fields; nothing for a valid one.

    With ``server`` a rule that would cut the device off from it is wrong as well.
    """
    template = catalog.templates.get(template_id)
    if template is None:
        return (Finding("templateId", "unknownTemplate", f"There is no template {template_id[:128]!r}."),)
    if sum(1 for _ in walk(settings)) > MAX_SETTINGS:
        allowed = f"At most {MAX_SETTINGS} settings, nested ones included."
        return (Finding("settings", "tooManySettings", "The policy holds too many settings.", allowed),)
    return (*_frame(template, platforms, technologies), *_settings(catalog, template, settings, server))


def validate_reusable(catalog: Catalog, instance: SettingInstance) -> tuple[Finding, ...]:
    """Return everything that is wrong with what a reusable setting holds; nothing for a valid one."""
    checker = InstanceChecker(catalog)
    path = "settingInstance"
    if sum(1 for _ in walk((instance,))) > MAX_SETTINGS:
        return (Finding(path, "tooManySettings", "The setting is too large.", f"At most {MAX_SETTINGS} settings."),)
    definition = checker.known(path, instance)
    if definition is None:
        return tuple(checker.findings)
    if definition.reusable:
        checker.instance(path, definition, instance, Scope())
    else:
        reusable = ", ".join(known.id for known in catalog.definitions.values() if known.reusable)
        message = f"{definition.display_name!r} cannot be reused."
        checker.report(f"{path}.definition", "notReusable", message, f"One of {reusable}.")
    return tuple(checker.findings)


def _frame(template: PolicyTemplate, platforms: str, technologies: str) -> Iterator[Finding]:
    name = template.display_name
    if not template.supported:
        yield Finding("templateId", "unsupportedTemplate", f"{name} is not delivered through this channel.")
    if platforms != template.platforms:
        yield Finding("platforms", "platformMismatch", f"{name} is not for {platforms[:64]!r}.", template.platforms)
    spellings = (template.technologies, *template.other_technologies)
    if set(technologies.split(",")) not in [set(spelling.split(",")) for spelling in spellings]:
        message = f"{name} does not go with {technologies[:64]!r}."
        yield Finding("technologies", "technologiesMismatch", message, " or ".join(spellings))


def _settings(
    catalog: Catalog, template: PolicyTemplate, settings: tuple[SettingInstance, ...], server: ServerEndpoints | None
) -> tuple[Finding, ...]:
    checker = InstanceChecker(catalog, server)
    scope = Scope()
    for position, instance in enumerate(settings):
        path = f"settings[{position}]"
        definition = checker.known(path, instance)
        if definition is None:
            continue
        offered = template.setting(definition.id)
        if offered is None:
            message = f"{template.display_name} does not offer {definition.display_name!r} here."
            checker.report(f"{path}.definition", "notInTemplate", message, places(definition))
            continue
        published = offered.instance_template
        if instance.template is not None and published is not None and instance.template.lower() != published:
            message = "The setting refers to an instance template that is not its own."
            checker.report(f"{path}.template", "wrongTemplateReference", message, f"{published}, or none.")
        checker.instance(path, definition, instance, scope)
    required = tuple(setting.definition for setting in template.settings if setting.required)
    checker.required("settings", required, scope)
    checker.together(scope)
    return tuple(checker.findings)
