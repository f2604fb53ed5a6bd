"""What goes wrong with one provider stays with that provider."""

from __future__ import annotations

from shieldwall.agent.providers.base import Provider, ProviderError
from shieldwall.contract.errors import ShieldwallError


class ReadBackError(ProviderError):
    """After writing, the product's files hold something else than was asked."""

    code = "readBackDiffers"
    remedy = "See whether another tool writes the same files; the setting is tried again at the next check-in."


class UndeclaredFileError(ProviderError):
    """A provider wants to write a file that is not among those it declared; the journal would not cover it."""

    code = "undeclaredFile"
    remedy = "This is a defect of the provider; report it with the cause given."


class BrokenProviderError(ProviderError):
    """A provider failed in a way nobody foresaw."""

    code = "providerBroken"
    remedy = "This is a defect of the agent; report it with the cause given."


class ReleaseIncompleteError(ShieldwallError):
    """Not every product could be set back to its state from before management; the rest is remembered."""

    code = "releaseIncomplete"
    remedy = "Remove the cause named and let the agent release the device again."


def as_failure(provider: Provider, error: Exception) -> ShieldwallError:
    """Give an error a code and words, whatever it is."""
    if isinstance(error, ShieldwallError):
        return error
    return BrokenProviderError(f"The provider {provider.name} raised {type(error).__name__}: {error}"[:1000])
