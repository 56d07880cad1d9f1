"""How fast the shift metrics are, beside other libraries and beside what the machine allows.

    python benchmarks/metrics.py [SECTION ...] [--quick] [--sizes 5000x64 ...] [--device cuda] [--json]

Sections are mmd, test, sliced, energy, frechet, estimate and threads; without any, all of them. ``make bench-peers``
installs the peers into .venv-peers first and then runs this; without them it sets dakit beside what comes with it.

Every entry runs in a process of its own with ONE thread, on the same data. Times are CPU seconds (what the call would
take alone on one core, whatever else the machine does), the smallest of the repeats; "set-up" is a first call with at
most 300 examples (3200 for dakit), in which libraries are loaded and code is compiled. Memory is the growth of the
process's peak during the first call at full size. On a GPU times are wall seconds with synchronisation, memory is the
device's. Entries that would take longer than ``--patience`` seconds or more than ``--memory`` MiB are skipped and
named. The exit status is 1 where an entry of dakit failed or a value lies further from the exact one than the
section's tolerance.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version

from entries import floor
from entries.case import ENTRIES, Case
from entries.launch import PEERS, in_own_process, measured, reason_to_skip
from entries.sections import SECTIONS, Section
from entries.worker import MODULES

for module in MODULES:
    import_module(f"entries.{module}")


def run(section: Section, case: Case, options: argparse.Namespace) -> dict:
    """Measure all entries of a section at one size."""
    rows, skipped = {}, {}
    for name in (section.ours, *section.others):
        reason = reason_to_skip(name, case, options.patience, options.memory)
        if reason:
            skipped[name] = reason
        elif name.startswith("dakit_estimate"):
            rows[name] = measured(name, case, 1 if name.endswith("exact") else case.draws)
        else:
            rows[name] = measured(name, case, section.repeats)
    found = {"n": case.n, "d": case.d, "draws": case.draws, "entries": rows, "skipped": skipped}
    exact = rows.get(section.exact or section.ours, rows[section.ours])
    exact = exact if "value" in exact else rows[section.ours]
    if "value" in exact:
        for name, row in rows.items():
            judge(row, ENTRIES[name].expected, section, case, exact["value"])
        found |= ratio(rows, section, section.goal(case), options.device)
    if section.ours in ("dakit_mmd", "dakit_mmd_test") and case.device == "cpu" and section.tolerance:
        speed = in_own_process(sys.executable, "entries.floor", str(case.d), str(case.draws))
        if "gemm" in speed and "cpu" in rows[section.ours]:
            least = floor.seconds(case, speed)
            found["share_of_floor"] = least / rows[section.ours]["cpu"]
            if "times" in found:
                found["floor_allows"] = found["times"] / found["share_of_floor"]
    if section.ours == "dakit_mmd_test":
        found["null_error"] = measured("dakit_null_error", case, 1)
    return found


def judge(row: dict, expected, section: Section, case: Case, exact: float) -> None:
    """Add how far a value lies from what it should be, and whether that is within the section's tolerance."""
    if "value" not in row:
        return
    if row["own_bar"] is not None:
        row["rmse"] = math.sqrt(math.fsum((v - exact) ** 2 for v in row["values"]) / len(row["values"]))
    elif expected is not None:
        row["difference"] = row["value"] - expected(case, exact)
        allowed = max(section.tolerance, section.relative * abs(exact))
        row["agrees"] = abs(row["difference"]) <= allowed if allowed else None


def ratio(rows: dict, section: Section, goal: float, device: str) -> dict:
    """The best peer beside dakit, and whether what is wanted is met."""
    clock = "cpu" if device == "cpu" else "wall"
    peers = {
        name: row[clock]
        for name, row in rows.items()
        if clock in row and ENTRIES[name].library and ENTRIES[name].peer
    }
    if not peers or clock not in rows[section.ours]:
        return {}
    best = min(peers, key=peers.get)
    rival = section.rival or best
    found = {
        "best_peer": best,
        "times": peers[best] / rows[section.ours][clock],
        "rival": rival,
        "wanted": goal,
    }
    if goal and rival in peers:
        found["met"] = peers[rival] / rows[section.ours][clock] >= goal
    return found


def threads(quick: bool) -> dict:
    """Wall time of the MMD with one and with two threads, and how busy the machine was."""
    case = Case(5000 if quick else 20_000, 64)
    load = os.getloadavg()[0]
    one, two = (measured("dakit_mmd", case, 3, threads=k) for k in (1, 2))
    found = {"n": case.n, "d": case.d, "load": load, "one": one, "two": two}
    if "wall" in one and "wall" in two:
        found["times"] = one["wall"] / two["wall"]
    return found


def show(section: Section, case: Case, found: dict, device: str) -> None:
    clock = "cpu" if device == "cpu" else "wall"
    ours = found["entries"][section.ours].get(clock)
    draws = f", {case.draws:,} draws" if case.draws else ""
    print(f"\n{section.title}: {case}{draws}")
    print(
        f"  {'':26}{clock + ' s':>10}{'/ dakit':>9}{'MiB':>8}{'set-up s':>10}{'value':>13}{'difference':>12}"
    )
    notes = []
    for name, row in found["entries"].items():
        if clock not in row:
            lacks = "missing" in row and ENTRIES[name].library
            print(f"  {name:26}{'not installed' if lacks else 'failed'}: ", end="")
            print(row.get("missing") or row["failed"])
            continue
        times = row[clock] / ours if ours else None
        times = "" if times is None else f"{times:.1f}" if times >= 1 else f"{times:.2g}"
        mib = "" if row["peak_mib"] is None else f"{row['peak_mib']:,.0f}"
        difference = f"{row['difference']:+.1e}" if "difference" in row else ""
        mark = {True: "", False: " DISAGREES", None: ""}[row.get("agrees")]
        print(f"  {name:26}{row[clock]:10.4f}{times:>9}{mib:>8}{row['set_up']:10.1f}", end="")
        print(f"{row['value']:13.6g}{difference:>12}{mark}")
        if "rmse" in row:
            exact = abs(found["entries"][section.ours]["value"])
            print(
                f"  {'':26}  off by {row['rmse'] / exact:.1%} of the exact value (root mean square of ",
                end="",
            )
            print(f"{len(row['values'])} seeds), own error bar {row['own_bar'] / exact:.1%}")
        if "scaled_from" in row:
            few, more = row["scaled_from"]
            notes.append(f"{name}: measured at {few} and {more} draws, scaled linearly to {case.draws}")
        if ENTRIES[name].note:
            notes.append(f"{name}: {ENTRIES[name].note}")
    for note in notes:
        print(f"  - {note}")
    if found["skipped"]:
        print("  - skipped: " + ", ".join(f"{name} ({why})" for name, why in found["skipped"].items()))
    if section.tolerance or section.relative:
        allowed = f"{section.tolerance:g}" if section.tolerance else f"{section.relative:g} of the value"
        print(f"  tolerance of the differences: {allowed}")
    if section is SECTIONS["estimate"]:
        print(
            "  - an error bar is about the MMD² of the distributions, of which the exact value is an estimate too"
        )
    if "share_of_floor" in found:
        allows = f"; the floor allows {found['floor_allows']:.0f}x" if "floor_allows" in found else ""
        print(f"  share of the floor: {found['share_of_floor']:.0%}{allows}")
    if "value" in found.get("null_error", {}):
        print(f"  largest error of a null draw in float32: {found['null_error']['value']:.1e} null sd")
    if case.n >= 100_000 and found["entries"][section.ours].get("peak_mib") is not None:
        peak = found["entries"][section.ours]["peak_mib"]
        print(f"  peak memory {peak:.0f} MiB, under 500 wanted: {'met' if peak < 500 else 'NOT met'}")
    if "times" in found:
        print(f"  best peer {found['best_peer']}: {found['times']:.1f}x dakit's time")
    if "met" in found:
        verdict = "met" if found["met"] else "NOT met"
        print(f"  at least {found['wanted']:g}x {found['rival']} wanted: {verdict}")


def show_threads(found: dict) -> None:
    print(
        f"\nTwo threads: mmd, n = m = {found['n']:,}, d = {found['d']}; load average {found['load']:.1f} before"
    )
    if "times" not in found:
        print(f"  failed: {found['one'].get('failed') or found['two'].get('failed')}")
        return
    print(f"  wall {found['one']['wall']:.3f} s with one, {found['two']['wall']:.3f} s with two: ", end="")
    print(f"{found['times']:.2f}x (means something only on a quiet machine)")


def faults(name: str, found: dict) -> list[str]:
    entries = found.get("entries", {})
    sentences = [
        f"{name}: {e} gives another value" for e, row in entries.items() if row.get("agrees") is False
    ]
    return sentences + [
        f"{name}: {e}: {row.get('failed') or row['missing']}"
        for e, row in entries.items()
        if "value" not in row and not ENTRIES[e].library
    ]


def size(text: str) -> tuple[int, int]:
    n, _, d = text.lower().partition("x")
    return int(n), int(d)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*SECTIONS, "threads"]
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute")
    parser.add_argument(
        "--sizes", nargs="+", type=size, help="n x d in place of the sections' own, as 5000x64"
    )
    parser.add_argument("--patience", type=float, default=30, help="skip entries that take more seconds")
    parser.add_argument(
        "--memory", type=float, help="skip entries that take more MiB (a third of the machine's)"
    )
    parser.add_argument("--device", default="cpu", help="cuda for the first GPU")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    if options.memory is None:
        options.memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20 / 3
    if unknown := set(options.sections) - set(names):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    import torch

    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error(f"--device {options.device}: torch finds no GPU here")
    about = {
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores",
        "load average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn", "scipy", "POT")},
        "peers": "installed" if PEERS.exists() else "not installed (make bench-peers)",
    }
    if options.device != "cpu":
        about["device"] = torch.cuda.get_device_name()
    if not options.json:
        print("; ".join(f"{key} {value}" for key, value in about.items()))
    everything, wrong = {"about": about}, []
    for name in options.sections or names:
        if name == "threads":
            if options.device == "cpu":
                everything[name] = threads(options.quick)
                if not options.json:
                    show_threads(everything[name])
            continue
        section, everything[name] = SECTIONS[name], []
        cases = section.quick if options.quick else section.cases
        if options.sizes:
            cases = [replace(cases[0], n=n, d=d) for n, d in options.sizes]
        for case in cases:
            case = replace(case, device=options.device)
            found = run(section, case, options)
            everything[name].append(found)
            wrong += faults(f"{name} {case}", found)
            if not options.json:
                show(section, case, found, options.device)
                sys.stdout.flush()
    if options.json:
        print(json.dumps(everything, indent=1))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
