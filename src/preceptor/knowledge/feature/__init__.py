"""What a network sees inside: losses on feature maps, sample by sample."""
