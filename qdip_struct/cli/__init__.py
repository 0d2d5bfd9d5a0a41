"""The command line: one file per command. Each reads files, calls functions of the floors below, writes files."""
