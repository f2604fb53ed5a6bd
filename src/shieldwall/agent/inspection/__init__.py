"""What root alone can see of a device, for the doctor: looked at within bounded time, and nothing changed."""
