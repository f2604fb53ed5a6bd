"""What happened: the audit trail, alerts, and how far those are who hear of it."""
