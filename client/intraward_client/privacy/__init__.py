"""Per-patient clipping, sampling, noise and the budget gate (DESIGN.md section 6)."""
