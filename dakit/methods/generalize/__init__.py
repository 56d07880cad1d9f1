"""A domain that nobody has seen."""
