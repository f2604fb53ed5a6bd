"""freshclam, which gets ClamAV its definitions."""
