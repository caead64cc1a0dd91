"""Evaluation suites: answers of policies to public prompts, counted by rules, each with an interval."""
