"""A thousand people at once: one person's bad message stops nobody else, and everything sent twice counts once."""
