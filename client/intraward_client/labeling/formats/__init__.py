"""Judgments in other tools' files: Label Studio, Argilla, TRL. Formats only; none of the tools is needed."""
