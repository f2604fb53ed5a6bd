@"%~dp0python\python.exe" -I -m shieldwall.cli.shieldwall_agent %*
