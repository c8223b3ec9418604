"""Numbers that say how well a hidden person was found and painted."""
