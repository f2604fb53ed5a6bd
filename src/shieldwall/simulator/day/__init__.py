"""A day of a million devices as columns of numbers, over the server's own targeting and admission."""
