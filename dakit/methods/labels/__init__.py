"""Classes or their shares move; little or no source is left."""
