"""What makes one side believe the other.

Keys, signatures and the documents they vouch for: the device's request signature (RFC 9421), DSSE envelopes, the trust
root, the onboarding package, certificates, and the order in which a device verifies what it is told to enforce. Nothing
here opens a connection or a file; time comes in as a parameter.
"""
