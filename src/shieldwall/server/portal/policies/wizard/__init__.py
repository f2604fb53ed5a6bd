"""Making and changing a policy step by step: forms made from the catalog, a preview, and only then saving."""
