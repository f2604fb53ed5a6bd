"""What can be asked of the gateway. Each module holds handlers that translate and nothing else, and their routes."""
