"""From the socket to the handler: the listener, its connections, and the first look at each request."""
