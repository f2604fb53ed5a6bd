"""The program that writes what the firewall notes: one log for each zone, never larger than asked."""
