"""What a network answers: losses on class scores."""
