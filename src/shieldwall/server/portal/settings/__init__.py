"""What holds for the whole tenant: scope, packages, tamper protection, people and more."""
