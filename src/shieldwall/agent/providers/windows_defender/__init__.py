"""Microsoft Defender on Windows: antivirus, exclusions, attack surface reduction, updates, and what the app shows."""
