"""What benchmarks/metrics.py measures: one function per library and task, each run in a process of its own."""
