"""The hospital's encrypted vault, and the tables read from it (patient = privacy unit)."""
