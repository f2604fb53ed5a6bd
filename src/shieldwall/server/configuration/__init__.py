"""What a server was told before it started: its settings, its roles, the way to its signer."""
