"""Signing in, proving again who one is, agreeing to what programs may do, and one's own account."""
