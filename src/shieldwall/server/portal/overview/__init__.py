"""How the tenant stands: the first page, and what needs somebody."""
