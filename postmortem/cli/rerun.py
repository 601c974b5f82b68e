"""``postmortem rerun``: trains again what a run or a recipe states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import click

from postmortem.cli import common

if TYPE_CHECKING:
    from postmortem.trainer.recipe import Recipe
    from postmortem.trainer.recover import Recovered

_EPILOG = """\b
Examples:
  postmortem rerun logs/run4 --out runs/again
  postmortem rerun recipe.yaml --seeds 5 --set lr=3e-4
  postmortem rerun logs/run4 --task arcs --fix late-stopping
  torchrun --nproc_per_node=2 -m postmortem rerun recipe.yaml --world 2"""


@click.command(epilog=_EPILOG)
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to; default: runs/....")
@click.option("--task", metavar="NAME", help="Task to run it on: of the catalogue, or module:Class.")
@click.option("--data", metavar="GLOB", help="Fragments of your own data, .npz or .parquet.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Run with so many seeds.")
@click.option("--world", type=click.IntRange(1), metavar="N", help="Number of processes; changes no bit of the result.")
@click.option("--workers", type=click.IntRange(0), metavar="N", help="Loader workers; change no bit of the result.")
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="cpu, cuda, mps or auto.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.option("--break", "faults", multiple=True, metavar="FAULT", help="Break this on purpose. Repeatable.")
@click.option(
    "--fix", "fixes", multiple=True, metavar="FINDING", help="Apply the remedy of this fault or finding. Repeatable."
)
@common.settings_option
@common.ends_on_error
def rerun(
    run: Path,
    out: Path | None,
    task: str | None,
    data: str | None,
    seeds: int,
    world: int | None,
    workers: int | None,
    device: str,
    resume: bool,
    faults: tuple[str, ...],
    fixes: tuple[str, ...],
    settings: Mapping[str, str],
) -> None:
    """Train again what RUN states: a recipe file, or a run's logs.

    From logs the recipe is recovered; what they do not state is assumed, and listed. --set changes its fields.
    """
    from postmortem.trainer.extra import need_torch

    need_torch()
    from postmortem.trainer.faults import broken, mended
    from postmortem.trainer.loop import train
    from postmortem.trainer.recipe import with_settings

    found = recovered(run, task or ("table" if data else None))
    asked = {"world_size": world, "num_workers": workers, "data": data}
    stated = {name: str(value) for name, value in asked.items() if value is not None}
    recipe = with_settings(found.recipe, {**settings, **stated})
    for name in faults:
        recipe = broken(recipe, name)
    for name in fixes:
        recipe = mended(recipe, name)
    recipe = with_settings(recipe, settings)  # what was said in so many words outlives a fault or a fix
    common.complain(told(found))
    for seed in range(recipe.seed, recipe.seed + seeds):
        one = recipe.changed(seed=seed)
        folder = (out or Path("runs") / f"{one.task.rpartition(':')[2]}-{recipe.digest[:8]}") / (
            f"seed{seed}" if seeds > 1 else ""
        )
        with common.writing(folder):
            done = train(one, folder, device=device, resume=resume, notes=found.notes)
        last = (
            ", ".join(f"{name} {value:.6g}" for name, value in list(done.rows[-1].items())[2:6])
            if done.rows
            else "no epoch"
        )
        click.echo(f"{folder}: {done.steps:,} steps, {last}, params_sha256 {done.digest}")


def recovered(run: Path, task: str | None) -> Recovered:
    """The recipe of a file, of a folder that the trainer wrote, or of the one run under a path.

    Raises:
        InputError: There is no run, or more than one.
    """
    from postmortem import load
    from postmortem.errors import InputError, Problem
    from postmortem.trainer.recipe import load as load_recipe
    from postmortem.trainer.recover import Recovered, facts_of, recover

    written = run / "recipe.yaml" if run.is_dir() else run
    if written.suffix in (".yaml", ".yml") and written.is_file():
        recipe = load_recipe(written, task)
        if run.is_dir() and recipe.task != task:
            _refuse_code_and_files(recipe, written)
        return Recovered(recipe, {})
    runs = load([run]).runs
    if len(runs) != 1:
        names = ", ".join(each.name for each in runs[:10]) or "none"
        hint = "point at the file or folder of one run"
        raise InputError(Problem(f"one run is wanted, {len(runs)} were found: {names}", source=str(run), hint=hint))
    return recover(facts_of(runs[0].facts.iter_rows(named=True)), task)


def _refuse_code_and_files(recipe: Recipe, source: Path) -> None:
    """Code and files that lie among logs are named by the user, or left alone.

    Raises:
        InputError: The recipe names some.
    """
    from postmortem.errors import InputError, Problem
    from postmortem.trainer.catalog import TASKS

    named = recipe.task if recipe.task not in TASKS else recipe.data
    if named:
        hint = f"point at {source} itself, or name it with --task, if you trust it"
        raise InputError(Problem(f"names {named}, and nothing that logs name is opened or run", str(source), hint=hint))


def told(found: Recovered) -> str:
    """What was recovered and what was assumed, in words."""
    values = found.recipe.model_dump() | {"recipe": found.recipe.digest[:12]}
    lines = [f"  {name}: {values[name]}  ({found.notes[name]})" for name in (*found.recovered, *_reasons(found))]
    plain = [f"{name}={values[name]}" for name in found.assumed if name not in _reasons(found) and name != "options"]
    if plain:
        said = f"assumed as usual: {', '.join(plain)}"
        lines.append(fill(said, 98, initial_indent="  ", subsequent_indent="    "))
    if found.assumed and not found.recovered:
        lines.insert(0, "  the run states no field of a recipe: this is the usual one of the task, not a rerun")
    return "\n".join(lines)


def _reasons(found: Recovered) -> list[str]:
    return [name for name in found.assumed if found.notes[name] != "assumed"]
