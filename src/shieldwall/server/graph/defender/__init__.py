"""The API of Defender for Endpoint, ``/api``: machines, their tags, and orders to them. Its tokens are its own."""
