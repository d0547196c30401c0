"""How a network relates samples to each other: losses over a batch or a memory."""
