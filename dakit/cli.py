"""The ``dakit`` command.

Every command takes ``--json``: one JSON object on stdout and nothing else. Progress and remarks go to stderr. A wrong
input is one sentence on stderr and exit code 2.
"""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dakit import terminal

# Some versions of typer carry click inside, others import it: the base of its errors is found from typer's own name.
ClickException = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="dakit",
    help="Measure, see and close distribution shift.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
chapters = typer.Typer(help="The chapter notebooks.", no_args_is_help=True)
app.add_typer(chapters, name="chapters")

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for what is written.", file_okay=False)]
LabelColumn = Annotated[str | None, typer.Option(help="Column of a table that holds the labels.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds, 0 to K − 1.")]


def main() -> None:
    """Entry point: turns every expected error into one sentence and exit code 2."""
    try:
        status = app(standalone_mode=False)
        code = status if isinstance(status, int) else 0
    except ClickException as error:
        # without a command the help has been printed already, and there is nothing to add
        code = 2 if type(error).__name__ == "NoArgsIsHelpError" else terminal.fail(terminal.usage(error))
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # the reader of our output has left, as `| head` does: nothing to complain about
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (ValueError, TypeError, KeyError, OSError, ImportError, FloatingPointError) as error:
        if os.environ.get("DAKIT_DEBUG"):
            raise
        code = terminal.fail(terminal.sentence(error))
    sys.exit(code)


@app.callback()
def _settings() -> None:
    # A command's output is its tables: advice of other libraries to their developers does not belong in it.
    if not os.environ.get("DAKIT_DEBUG"):
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(umap|sklearn|torch|numba)\b")


@app.command()
def demo(
    out: Out = Path("out"),
    as_json: Json = False,
    seeds: Seeds = 3,
    quick: Annotated[bool, typer.Option(help="A tenth of the steps: to see that everything works.")] = False,
) -> None:
    """Watch a real domain gap open and close: emoji styles and handwritten digits, five methods, three seeds."""
    from dakit.bench.demo import run_demo

    result = run_demo(out, seeds=seeds, quick=quick, console=terminal.console(stderr=True))
    if as_json:
        terminal.print_json(result.as_dict())
        return
    console = terminal.console()
    console.print(*result.rich_tables())
    console.print(f"[bold]Open {result.page}[/bold] in a browser to see the features move.", soft_wrap=True)


@app.command()
def shift(
    a: Annotated[
        str, typer.Argument(metavar="A", help="set/domain, .npz, .npy, .csv, .parquet, or image folder")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="the same kinds")],
    label_column: LabelColumn = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="These numbers alone, on inputs as they are: mmd,a_distance,coral,frechet,idd,icv"),
    ] = None,
    permutations: Annotated[int, typer.Option(min=1, help="Relabellings of each permutation test.")] = 500,
    alpha: Annotated[
        float, typer.Option(help="Probability of a false alarm, over all tests together.")
    ] = 0.05,
    max_points: Annotated[int, typer.Option(help="Larger sets are thinned to so many examples.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of permutations and folds.")] = 0,
    as_json: Json = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the report as a self-contained page.", dir_okay=False)
    ] = None,
) -> None:
    """Report how far apart two data sets are: what moved, how much, where, and what to do about it."""
    from dakit.bench.shift import measure_shift
    from dakit.domains import open_pair

    if html is not None and html.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a page is saved as .html, got {html.name!r}")
    source, target = open_pair(a, b, label_column=label_column, same_classes=False)
    sides = {side: _describe(d) for side, d in (("source", source), ("target", target))}
    if metrics is not None:
        if html is not None:
            raise ValueError("--html writes the whole report; leave out --metrics")
        names = [m.strip() for m in metrics.split(",") if m.strip()]
        measured = measure_shift(source, target, names, seed=seed)
        if as_json:
            terminal.print_json({**sides, "metrics": measured, "seed": seed})
        else:
            _print_metrics(source, target, measured)
        return
    from dakit.bench.report import shift_report

    report = shift_report(
        source, target, permutations=permutations, alpha=alpha, max_points=max_points, seed=seed
    )
    if html is not None:
        report.save(html)
        terminal.say(f"wrote {html}", quiet=as_json)
    if as_json:
        measured = measure_shift(source, target, seed=seed)
        terminal.print_json({**sides, "metrics": measured, "report": report.as_dict(), "seed": seed})
        return
    terminal.console().print(*report.rich_parts())


def _print_metrics(source: Any, target: Any, measured: dict[str, float | None]) -> None:
    from rich.table import Table

    table = Table(
        title=f"{source.name} → {target.name}",
        caption=f"{len(source)} and {len(target)} examples of shape {source.shape}",
    )
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in measured.items():
        table.add_row(name, terminal.number(value, 4))
    terminal.console().print(table)


def _describe(domain: Any) -> dict[str, Any]:
    return {
        "name": domain.name,
        "n": len(domain),
        "shape": list(domain.shape),
        "classes": domain.counts() or None,
    }


@app.command()
def adapt(
    source: Annotated[
        list[str], typer.Option(help="Labelled: set/domain, file or folder; repeatable for several sources.")
    ],
    target: Annotated[str, typer.Option(help="Labels are optional and only judge.")],
    method: Annotated[str, typer.Option(help="A name of `dakit methods`.")] = "dann",
    seeds: Seeds = 3,
    steps: Annotated[int, typer.Option(min=1)] = 1000,
    batch_size: Annotated[int, typer.Option(min=2)] = 64,
    lr: Annotated[float, typer.Option(min=0.0)] = 0.01,
    backbone: Annotated[
        str, typer.Option(help="auto, mlp, lenet, resnet8, resnet18, embedding, or hub:PATH")
    ] = "auto",
    augment: Annotated[str | None, typer.Option(help="shift, flip or shift+flip; images only")] = None,
    param: Annotated[list[str] | None, typer.Option(help="Hyper-parameter, NAME=VALUE; repeatable.")] = None,
    label_column: LabelColumn = None,
    paired: Annotated[bool, typer.Option(help="Let source and target hold the same concepts.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps")] = "auto",
    out: Out = Path("out"),
    as_json: Json = False,
) -> None:
    """Adapt from a labelled source to a target, and say what it changed."""
    from dakit.bench.adapt import adapt as run_adapt
    from dakit.bench.adapt import parse_parameters

    result = run_adapt(
        source,
        target,
        method=method,
        seeds=seeds,
        backbone=backbone,
        hyperparameters=parse_parameters(param or []),
        label_column=label_column,
        paired=paired,
        out=out,
        say=lambda message: terminal.say(message, quiet=as_json),
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        augment=augment,
        device=device,
        progress=not as_json and sys.stderr.isatty(),
    )
    if as_json:
        terminal.print_json(result.as_dict())
        return
    console = terminal.console()
    console.print(*result.rich_tables())
    console.print(f"Runs, results and page are in {result.out}", soft_wrap=True)


@app.command("methods")
def list_methods(
    name: Annotated[
        str | None, typer.Argument(help="Of one method: all that its file says at its head.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the methods; with a name, say what it assumes, when it fails and where it comes from."""
    from dakit import methods

    if name is not None:
        described = asdict(methods.describe(name))
        if as_json:
            terminal.print_json(described)
            return
        console = terminal.console()
        console.print(f"[bold]{described['name']}[/bold]  {described['summary']}")
        for key in ("setting", "assumption", "fails_when", "paper"):
            console.print(f"\n{key.replace('_', ' ')}: {described[key]}", markup=False)
        return
    families = methods.families()
    if as_json:
        rows = {
            n: asdict(methods.describe(n)) | {"family": f} for f, names in families.items() for n in names
        }
        for row in rows.values():
            row.pop("name")
        terminal.print_json({"methods": rows})
        return
    from rich.table import Table
    from rich.text import Text

    console = terminal.console()
    for family, names in families.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, min_width=22)
        table.add_column()
        for each in names:
            table.add_row(Text(f"  {each}"), Text(methods.describe(each).summary))
        console.print(f"\n[bold]{family}[/bold]")
        console.print(table)
    console.print("\nWhat one assumes, when it fails, and its paper: dakit methods NAME")


@app.command("domains")
def list_domains(as_json: Json = False) -> None:
    """List the bundled data sets and their domains, with counts."""
    from dakit import domains

    rows = {}
    for name, description in domains.bundled().items():
        loaded = domains.load(name)
        rows[name] = {
            "description": description,
            "domains": {d.name: len(d) for d in loaded.values()},
            "classes": list(loaded.classes),
            "shape": list(next(iter(loaded.values())).shape),
        }
    if as_json:
        terminal.print_json({"sets": rows})
        return
    from rich.table import Table

    table = Table(title="Bundled sets")
    for column in ("set", "domains (examples)", "classes", "one example"):
        table.add_column(column, overflow="fold")
    for name, row in rows.items():
        listed = ", ".join(f"{d} ({n})" for d, n in row["domains"].items())
        table.add_row(
            f"[bold]{name}[/bold]\n{row['description']}",
            listed,
            ", ".join(row["classes"]),
            str(tuple(row["shape"])),
        )
    terminal.console().print(table)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine offers and what is missing."""
    from dakit.doctor import examine

    found = examine()
    if as_json:
        terminal.print_json(found)
    else:
        from rich.table import Table

        table = Table(show_header=False, title="dakit doctor")
        for key in ("dakit", "python", "system", "device", "cpus", "torch_threads", "chromium"):
            table.add_row(key, str(found[key] or "not found (needed by the browser tests only)"))
        memory = found["memory_gib"]
        table.add_row(
            "memory", f"{memory['available']} of {memory['total']} GiB free" if memory else "unknown"
        )
        table.add_row("packages", ", ".join(f"{k} {v}" for k, v in found["packages"].items() if v))
        table.add_row("optional", ", ".join(f"{k} {v or '–'}" for k, v in found["optional"].items()))
        terminal.console().print(table)
        for problem in found["problems"]:
            terminal.console().print(f"[bold]problem:[/bold] {problem}")
    if found["problems"]:
        raise typer.Exit(1)


@chapters.command("list")
def chapters_list(as_json: Json = False) -> None:
    """List the chapters."""
    from dakit import course

    rows = course.list_chapters()
    if as_json:
        terminal.print_json({"chapters": [r.as_dict() for r in rows]})
        return
    terminal.print_rows(
        "Chapters", {r.name: {"title": r.title, "promise": r.promise, "time": r.time} for r in rows}
    )


@chapters.command("build")
def chapters_build(
    check: Annotated[bool, typer.Option(help="Only compare; exit 1 on a difference.")] = False,
) -> None:
    """Generate the student notebooks from notebooks/source."""
    from dakit import course

    changed = course.build_chapters(check=check)
    for path in changed:
        print(path)
    if check and changed:
        terminal.say(f"{len(changed)} notebook(s) differ from their source: run make chapters")
        raise typer.Exit(1)


@chapters.command("run")
def chapters_run(
    names: Annotated[
        list[str] | None, typer.Argument(help="Chapters; all of them when none is named.")
    ] = None,
    profile: Annotated[str, typer.Option(help="smoke, teach or full")] = "smoke",
    as_json: Json = False,
) -> None:
    """Run chapters with their solutions; show seconds and peak memory."""
    from dakit import course

    rows = course.run_chapters(names, profile)
    if as_json:
        terminal.print_json({"profile": profile, "chapters": [r.as_dict() for r in rows]})
    else:
        shown = {r.name: {k: v for k, v in r.as_dict().items() if k != "name"} for r in rows}
        terminal.print_rows(f"Chapters, profile {profile}", shown)
    if any(not r.ok for r in rows):
        raise typer.Exit(1)
