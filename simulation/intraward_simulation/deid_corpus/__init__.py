"""Notes with gold spans for measuring a de-identifier; two halves that share no name, format or template."""
