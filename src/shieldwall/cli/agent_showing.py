"""``shieldwall-agent status|effective``: how a device is, and what is in effect on it."""

from __future__ import annotations

from typing import Final

import typer

from shieldwall.agent.applier.sources import SettingSource, Source
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.overview import EffectiveSetting, Overview, age_text, effective, overview
from shieldwall.catalog.model import Catalog
from shieldwall.cli.agent_app import JsonOption, RootOption, StateOption, agent_of, app, is_running
from shieldwall.cli.presentation import in_words, printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.enrollment import EnrollmentCode

_SOURCES: Final = {
    Source.POLICY: "policy",
    Source.LOCAL_ADMINISTRATOR: "local administrator",
    Source.GROUP_POLICY: "Group Policy",
    Source.OTHER_MANAGER: "other manager",
    Source.DEFAULT: "default",
    Source.TAMPER_PROTECTION: "tamper protection",
}
_KEY_PLACES: Final = {"tpm": "in the TPM", "secureEnclave": "in the Secure Enclave"}


@app.command()
def status(
    context: typer.Context, as_json: JsonOption = False, root: RootOption = None, state: StateOption = None
) -> None:
    """Show where this device stands."""
    with speaking_plainly("read where this device stands", as_json=as_json, exit_code=exit_code):
        agent = agent_of(context, root, state)
        summary = overview(agent.surroundings, running=is_running(agent))
    if as_json:
        show_json(summary)
        return
    if not summary.onboarded:
        typer.echo("This device is not onboarded.")
        if summary.waiting:
            typer.echo("It has asked to be let in, and waits. The running agent asks again until that is decided.")
        show_survey(summary)
        return
    now = agent.surroundings.trusted_clock.now()
    show_facts(
        (
            ("Device", summary.device_id),
            ("Registration", summary.registration),
            ("Tenant", summary.tenant_id),
            ("Server", ", ".join(summary.servers)),
            ("Agent", "running" if summary.running else "not running"),
            ("Device key", _KEY_PLACES.get(summary.key_protection or "", "in a file")),
            ("Managed elsewhere", summary.managed_elsewhere or "no"),
            ("Enrollment", f"{summary.enrollment.code}: {summary.enrollment.cause}"),
            ("Last check-in", age_text(summary.last_check_in, now)),
            (
                "Policies",
                ", ".join(f"{each.name} (revision {each.revision})" for each in summary.policies) or "none",
            ),
            ("Settings", ", ".join(f"{count} {word}" for word, count in summary.settings.items()) or "none"),
            ("Tamper protection", _protection(summary)),
            (
                "In effect",
                "yes"
                if summary.target == summary.enforced
                else "not yet: the newest policies are still to be enforced",
            ),
        )
    )
    show_survey(summary)
    for refused in summary.refused:
        typer.echo(f"Refused policy {refused.policy_id}: {printable(refused.cause)} [{printable(refused.code)}]")
    if summary.trouble is not None:
        typer.echo(f"Trouble since {summary.trouble.since}: {printable(summary.trouble.cause)}")
        typer.echo(f"What to do: {printable(summary.trouble.remedy)}")


@app.command("effective")
def show_effective(
    context: typer.Context, as_json: JsonOption = False, root: RootOption = None, state: StateOption = None
) -> None:
    """Show, setting by setting, what is in effect, and which policy says so."""
    with speaking_plainly("read what is in effect", as_json=as_json, exit_code=exit_code):
        agent = agent_of(context, root, state)
        found = effective(agent.surroundings, agent.catalog)
    if as_json:
        show_json(found)
        return
    show_table(
        ("Setting", "Value", "State", "Provider", "Policy", "Written", "Read back", "Effective", "Source"),
        [_row(setting) for setting in found.settings],
        empty="No policy speaks about this device yet.",
    )
    if made_here := [each for each in found.others if each.source is not Source.DEFAULT]:
        typer.echo("")
        typer.echo("No policy speaks of these:")
        show_table(("Setting", "Provider", "Value", "Source"), [_other(agent.catalog, each) for each in made_here])
    for refused in found.refused:
        typer.echo(f"Refused policy {refused.policy_id}: {printable(refused.cause)} [{printable(refused.code)}]")


def show_survey(summary: Overview) -> None:
    """Say who else manages this device, or why it cannot be managed, and what gave that away."""
    for sign in summary.survey:
        typer.echo(f"{printable(sign.finding)} ({printable(sign.evidence)})")
    if summary.is_passive:
        typer.echo("The agent stays passive: it reports, nothing new is taken and nothing put back.")
    enrollment = summary.enrollment
    unmanaged = enrollment.code not in {EnrollmentCode.MANAGED, EnrollmentCode.NOT_ENROLLED} and summary.survey
    if unmanaged or (enrollment.told and enrollment.code != EnrollmentCode.MANAGED):
        typer.echo(f"What to do: {enrollment.remedy}")


def _protection(summary: Overview) -> str:
    if summary.leaving:
        return "off: this device is about to leave management"
    words = "on" if summary.protected else "off"
    if summary.troubleshooting_until is None:
        return words
    return f"{words}; troubleshooting until {summary.troubleshooting_until}: nothing is enforced or put back"


def _row(setting: EffectiveSetting) -> tuple[str, ...]:
    state = setting.state.value if setting.reason is None else f"{setting.state.value}: {setting.reason}"
    return (
        setting.name,
        in_words(setting.value),
        state,
        setting.provider or "",
        ", ".join(policy.name for policy in setting.policies),
        "yes" if setting.written else "no",
        in_words(setting.read_back),
        {True: "yes", False: "no", None: "not probed"}[setting.effective],
        _SOURCES[setting.source] if setting.source else "",
    )


def _other(catalog: Catalog, each: SettingSource) -> tuple[str, ...]:
    definition = catalog.definitions.get(each.setting)
    name = each.setting if definition is None else definition.display_name
    return name, each.provider, in_words(each.value), _SOURCES[each.source]
