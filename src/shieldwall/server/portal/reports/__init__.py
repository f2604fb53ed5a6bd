"""Reports: how policies and settings stand, what conflicts, drifts, is stale, or is set by nobody."""
