"""What can be passed on from one network to another: one method a file, torch only."""
