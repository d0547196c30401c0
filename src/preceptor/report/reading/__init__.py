"""What runs and studies left, read for a report."""
