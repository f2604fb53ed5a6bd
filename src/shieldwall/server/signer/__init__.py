"""The signer: a process of its own that alone holds the keys of all tenants.

The rest of the server asks over a Unix socket and gets finished documents; it never sees a key. The signer parses all
it signs, numbers manifests so that no number comes twice, and signs one document for a policy's revision, never a
second one.
"""
