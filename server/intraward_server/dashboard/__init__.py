"""The coordinator's pages: read-only, on loopback, of nothing but what lies in the coordinator's own folder.

DESIGN.md sections 1 and 6: no count of a hospital is anywhere in it, because none is ever sent. The folder is
read anew for every page; nothing here writes, signs or holds a private key.
"""
