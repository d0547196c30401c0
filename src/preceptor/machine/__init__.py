"""How a network is computed on this machine: device, layout, precision, folding, memory."""
