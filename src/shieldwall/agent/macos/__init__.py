"""What the agent's processes need of macOS alone."""
