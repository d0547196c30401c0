"""The command line: parse, call, print; nothing heavy is imported before a command runs."""
