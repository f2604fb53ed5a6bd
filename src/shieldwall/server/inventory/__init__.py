"""The inventory's side of a device's life: onboarding packages, onboarding with one, offboarding."""
