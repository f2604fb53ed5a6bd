"""The admin center: pages rendered on the server, over the same services as the API."""
