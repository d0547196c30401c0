"""What is learned from: sources and their sample tables, splits, packed images, batches."""
