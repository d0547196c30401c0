"""What frozen networks say of training images, kept on disk: computed once, read by every epoch and run that can."""
