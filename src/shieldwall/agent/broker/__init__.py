"""The gate: holds every open of a file until the scanner has said whether it is clean."""
