"""The kernel's audit: what it writes down for detection and response, and the program that reads it."""

from shieldwall.agent.providers.audit.provider import AuditProvider

__all__ = ["AuditProvider"]
