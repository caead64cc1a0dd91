"""The coordinator: program, rounds, admission, aggregation, registry, evaluation (DESIGN.md section 4)."""
