"""The machine as the agent sees it: files, programs, facts, and the survey for other managers."""
