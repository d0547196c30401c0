"""Many runs: a study is a grid of recipes and seeds, run to the end and laid out as a table."""
