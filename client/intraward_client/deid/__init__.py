"""De-identification: the one door through which text enters the hospital's system (rule 2)."""
