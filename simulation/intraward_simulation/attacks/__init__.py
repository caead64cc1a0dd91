"""Published attacks on what a hospital releases, with privacy on and off (DESIGN.md section 7)."""
