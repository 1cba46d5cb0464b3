"""The command line: `tributary --help`."""
