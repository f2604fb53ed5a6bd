"""``shieldwall``: the command line of administrators and of the server's console."""

from __future__ import annotations

import sys
from typing import Final

import typer

from shieldwall.cli import (
    alert_commands,
    api_command,
    application_commands,
    attestation_commands,
    audit_commands,
    clean_up_commands,
    conflict_rule_commands,
    connector_commands,
    declared_commands,
    device_events,
    directory_commands,
    filter_commands,
    identity_provider_commands,
    login_commands,
    machine_action_commands,
    membership_commands,
    offboarding_commands,
    package_commands,
    person_commands,
    policy_commands,
    protection_commands,
    report_commands,
    reusable_commands,
    role_commands,
    scope_commands,
    scope_tag_commands,
    shieldwall_server,
    tenant_commands,
    webhook_commands,
)
from shieldwall.cli.starting import asked_for

app: Final = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Open security settings management."
)
app.command()(login_commands.login)
app.command()(login_commands.logout)
app.command()(login_commands.whoami)
app.command()(api_command.api)
app.command()(declared_commands.apply)
app.command()(declared_commands.diff)
app.add_typer(policy_commands.app, name="policy")
app.add_typer(filter_commands.app, name="filter")
app.add_typer(reusable_commands.app, name="reusable")
app.add_typer(conflict_rule_commands.app, name="conflict-rules")
app.add_typer(scope_commands.app, name="scope")
app.add_typer(device_events.app, name="device")  # with all the other commands about devices
app.add_typer(directory_commands.app, name="directory")
app.add_typer(clean_up_commands.app, name="clean-up")
app.add_typer(membership_commands.app, name="group")  # with all the other commands about groups
app.add_typer(package_commands.app, name="package")
package_commands.app.command("offboarding")(offboarding_commands.create_offboarding_package)
app.add_typer(protection_commands.app, name="protection")
app.add_typer(alert_commands.app, name="alert")
app.add_typer(attestation_commands.app, name="attestation")
app.add_typer(webhook_commands.app, name="webhook")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(report_commands.app, name="report")
app.add_typer(machine_action_commands.app, name="machine-action")
app.add_typer(connector_commands.app, name="connector")
app.add_typer(application_commands.app, name="app")
app.add_typer(identity_provider_commands.app, name="identity-provider")
app.add_typer(person_commands.app, name="person")
app.add_typer(role_commands.app, name="role")
app.add_typer(scope_tag_commands.app, name="scope-tag")
app.add_typer(tenant_commands.app, name="tenant")
app.add_typer(shieldwall_server.app, name="server")


@app.callback()
def shieldwall() -> None:
    """Open security settings management."""


def main() -> None:
    """Run the command line."""
    asked_for(app, sys.argv[1:])()
