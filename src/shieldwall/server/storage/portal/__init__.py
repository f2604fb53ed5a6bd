"""What the admin center keeps for people, and the signs by which its pages see that something changed."""
