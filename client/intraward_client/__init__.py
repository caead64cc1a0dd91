"""The hospital's side: data in, sealed updates out (DESIGN.md sections 2 and 3).

Importing this package opens nothing and sets nothing; every room is imported by the command that
needs it.
"""
