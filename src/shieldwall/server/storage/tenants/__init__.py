"""The organisations on a server, and what each of them says for all of its devices."""
