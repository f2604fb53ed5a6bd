"""What firewall rules may say: ports, addresses, and what no rule may cut a device off from."""
