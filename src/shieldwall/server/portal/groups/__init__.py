"""Groups of devices and the rules that fill them."""
