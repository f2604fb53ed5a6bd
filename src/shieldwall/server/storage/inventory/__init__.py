"""Lists of devices: searched, filtered, sorted, counted and cut into pages, all in SQL."""
