"""``python -m shieldwall.agent.scanning``."""

from shieldwall.agent.scanning.main import run

if __name__ == "__main__":
    run()
