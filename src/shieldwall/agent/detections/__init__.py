"""What was found on this device: one shape of an event, and the spool in which events wait to be told."""
