"""What is done at the console of a server alone: making it, and adding tenants and machines to it."""
