"""The researcher's side: synthetic hospitals, simulated clinicians, tiny models and whole programs on one machine.

May import client, server and shared (DESIGN.md section 4); nothing imports it.
"""
