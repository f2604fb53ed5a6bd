"""What is done again and again beside the front doors: cleaning up, counting, bringing devices to what changed."""
