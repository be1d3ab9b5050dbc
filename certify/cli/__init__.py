"""The command line, one module a command.

A module here with `add_to` is a command: `add_to(commands)` adds its parser, whose default `command` runs it.
Heavy imports stand inside functions, so that `certify --help` is instant.
"""
