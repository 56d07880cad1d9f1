"""One report of the shift between two domains: what moved, how much, where, and what to do about it."""

from dakit.bench.report.shift_report import ShiftReport, shift_report

__all__ = ["ShiftReport", "shift_report"]
