"""Pull the features of both domains together."""
