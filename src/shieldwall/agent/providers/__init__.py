"""Adapters to the security products on a device, one package each, behind the interface in ``base``."""
