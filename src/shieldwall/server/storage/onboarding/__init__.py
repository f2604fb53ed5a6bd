"""How devices come and go: packages, nonces, challenges, and how far each is."""
