"""A program of its own that sends packets of a probe into this machine, and says what answered them."""
