"""The agent's two services on Windows: the thin edge to the system, and what they are made of."""
