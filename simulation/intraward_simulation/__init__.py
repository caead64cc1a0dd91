"""The researcher's side: synthetic hospitals and clinicians, tiny models, whole programs on one machine.

May import client, server and shared (DESIGN.md section 4); nothing imports it.
"""
