"""The label station: clinicians judge answers on the hospital's own network, and nothing of it leaves."""
