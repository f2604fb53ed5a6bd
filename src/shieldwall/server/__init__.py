"""The server: directory, inventory, manager, their front doors, and the signer that stands apart."""
