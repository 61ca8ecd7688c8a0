"""The command line: arguments and exit codes, one module a command group, no logic."""
