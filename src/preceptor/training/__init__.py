"""The one loop, and the run around it."""
