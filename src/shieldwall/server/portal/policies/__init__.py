"""Endpoint security: policies, from a template to what devices make of them."""
