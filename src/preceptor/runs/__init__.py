"""Run folders on disk: the only place that knows which files are in them, and where what is read back is verified."""
