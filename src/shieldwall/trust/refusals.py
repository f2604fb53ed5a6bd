"""Why a device does not believe a document: one class and one code for each reason."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class RefusedDocumentError(ShieldwallError):
    """A signed document is not to be believed; each reason is a subclass with its own code."""

    code = "documentRefused"
    remedy = "The device goes on with what it last believed; look at the server that sent this."


class RefusedManifestError(RefusedDocumentError):
    """The manifest is not to be enforced."""

    code = "manifestRefused"


class ManifestMalformedError(RefusedManifestError):
    """Too large, not strict JSON, or not of the shape of a manifest."""

    code = "manifestMalformed"


class ManifestTypeError(RefusedManifestError):
    """A signed document of another kind."""

    code = "manifestType"


class ManifestSignatureError(RefusedManifestError):
    """Not signed by the keys of the manifest role."""

    code = "manifestSignature"


class ManifestTenantError(RefusedManifestError):
    """Of another tenant."""

    code = "manifestTenant"


class ManifestIncarnationError(RefusedManifestError):
    """Of an incarnation of the server that has been left behind."""

    code = "manifestIncarnation"


class ManifestDeviceError(RefusedManifestError):
    """For another device."""

    code = "manifestDevice"


class ManifestKeyError(RefusedManifestError):
    """For another key of this device."""

    code = "manifestKey"


class ManifestNotNewerError(RefusedManifestError):
    """Not newer than the one the device holds."""

    code = "manifestNotNewer"


class ManifestExpiredError(RefusedManifestError):
    """Expired before it arrived."""

    code = "manifestExpired"


class ManifestItemsError(RefusedManifestError):
    """Items that repeat a policy or do not match the target they are named by."""

    code = "manifestItems"


class RefusedPolicyError(RefusedDocumentError):
    """The policy revision is not to be enforced."""

    code = "policyRefused"


class PolicyLengthError(RefusedPolicyError):
    """Longer or shorter than the manifest says."""

    code = "policyLength"


class PolicyDigestError(RefusedPolicyError):
    """Other bytes than the manifest names."""

    code = "policyDigest"


class PolicyTypeError(RefusedPolicyError):
    """A signed document of another kind."""

    code = "policyType"


class PolicySignatureError(RefusedPolicyError):
    """Not signed by the keys of the policy role."""

    code = "policySignature"


class PolicyMalformedError(RefusedPolicyError):
    """Not strict JSON, or not of the shape of a policy."""

    code = "policyMalformed"


class PolicyTenantError(RefusedPolicyError):
    """Of another tenant."""

    code = "policyTenant"


class PolicyIdentityError(RefusedPolicyError):
    """Another policy or revision than the manifest names."""

    code = "policyIdentity"


class RefusedTimeError(RefusedDocumentError):
    """The statement of time is not signed, not for this tenant or not for this question."""

    code = "timeRefused"
