"""A Windows machine as its documentation describes it."""
