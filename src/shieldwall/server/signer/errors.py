"""Why the signer does not sign, or cannot be asked."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class SignerError(ShieldwallError):
    """The signer refuses, or cannot be reached."""

    code = "signerRefused"
    remedy = "Look at the log of the signer."


class SignerUnavailableError(SignerError):
    """No answer came."""

    code = "signerUnavailable"
    remedy = "Check that the signer runs and that its socket belongs to the server's user."


class SignerBusyError(SignerError):
    """Too many connections at once."""

    code = "signerBusy"
    remedy = "Try again; if it lasts, look for a component that opens connections and never closes them."


class BadFrameError(SignerError):
    """The bytes on the socket are not our protocol."""

    code = "signerBadFrame"
    remedy = "Run server and signer from the same release."


class OtherTenantError(SignerError):
    """The document belongs to a tenant whose keys are not held here."""

    code = "signerOtherTenant"
    remedy = "Ask for the document under its own tenant; if its keys are lost, bring them back from the backup."


class UnsignableDocumentError(SignerError):
    """The document is not one the signer puts its name to."""

    code = "signerUnsignable"
    remedy = "Correct the document as the cause says and ask again."


class RevisionTakenError(SignerError):
    """Another document was already signed as this revision of this policy."""

    code = "signerRevisionTaken"
    remedy = "Publish the change as a new revision."


class CounterExhaustedError(SignerError):
    """This incarnation has no manifest numbers left."""

    code = "signerCounterExhausted"
    remedy = "Start a new incarnation of the server."


class LedgerError(SignerError):
    """What must not be forgotten could not be written; the signer stops rather than guess."""

    code = "signerLedger"
    remedy = "Check disk space and permissions of the signer's directory, then start the signer again."


class LedgerFullError(SignerError):
    """There is no room to write down what must not be forgotten, so nothing was signed."""

    code = "signerLedgerFull"
    remedy = "Make room on the disk of the data directory. Then try again; nothing that was signed is lost."


class KeyFilesError(SignerError):
    """The key files are missing, damaged, or open to others."""

    code = "signerKeyFiles"
    remedy = "Key files belong to the signer's user with mode 0600; restore them from the backup if they are damaged."


class NotPermittedError(SignerError):
    """A machine asked from afar for what machines of its role need not ask."""

    code = "signerNotPermitted"
    remedy = "Run what asks this on a machine of the role admin; if nobody should have, look at the machine that did."


BY_CODE: dict[str, type[SignerError]] = {
    kind.code: kind
    for kind in (
        SignerError,
        SignerUnavailableError,
        SignerBusyError,
        BadFrameError,
        OtherTenantError,
        UnsignableDocumentError,
        RevisionTakenError,
        CounterExhaustedError,
        LedgerError,
        LedgerFullError,
        KeyFilesError,
        NotPermittedError,
    )
}
"""An error that crossed the socket comes back as its own class."""
