"""What a newcomer is led through: from an empty tenant to the first protected device, and out of every trouble."""
