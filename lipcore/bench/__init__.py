"""How fast this machine renders, and how fast it streams."""
