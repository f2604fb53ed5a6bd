"""How a database got to the schema of today: one revision after another in ``versions``, run by ``engine.migrate``."""
