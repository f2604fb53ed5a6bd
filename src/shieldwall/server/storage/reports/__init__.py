"""Questions over many devices or tenants, and what has been kept long enough."""
