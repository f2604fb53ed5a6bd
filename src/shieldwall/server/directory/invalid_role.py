"""What cannot be a role, a role assignment or a scope tag."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class InvalidRoleError(ShieldwallError):
    """A role, a role assignment or a scope tag cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidRole"
    remedy = "Correct the part named and send it again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


class UnknownScopeTagError(ShieldwallError):
    """An object shall carry a scope tag that the tenant does not have."""

    code = "unknownScopeTag"
    remedy = "Choose from the tags that /deviceManagement/roleScopeTags lists, or make it there first."


class BuiltInRoleError(ShieldwallError):
    """What is built in stays as it is."""

    code = "builtInRole"
    remedy = "Make a role or a scope tag of your own."


class NoAdministratorLeftError(ShieldwallError):
    """Nobody would be left who may do everything in the tenant."""

    code = "noAdministratorLeft"
    remedy = "Give somebody else the role Global Administrator in the whole tenant first."
