"""What is wrong with this device, and what to do about it: one small function a check, each with its evidence."""
