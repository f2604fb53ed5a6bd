"""What the front doors for administrators share: who calls, what they see of it, and what is at work for them."""
