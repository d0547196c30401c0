"""What a segmenter answers and sees: losses on masks and on the maps behind them."""
