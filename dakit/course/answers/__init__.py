"""The exercises of the chapters, one module a chapter, each with a mapping ``EXERCISES`` of names to exercises."""
