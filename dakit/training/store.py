"""Tensors and plain values in a folder: safetensors and JSON, never pickle, written atomically."""

import json
import os
import uuid
from pathlib import Path

import torch
from torch import Tensor, nn

FORM = 1  # number of this layout; a later layout reads the earlier ones


def write(folder: str | Path, tensors: dict[str, Tensor], values: dict) -> Path:
    """Write a run.

    The tensors go into a new file first; replacing ``run.json``, which names that file, is the one moment at which the
    run changes. Whatever stops the program, a whole run is left.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"tensors-{uuid.uuid4().hex[:12]}.safetensors"
    # One copy each: safetensors wants contiguous tensors that share no memory.
    plain = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
    save_file(plain, folder / name)
    _flush(folder / name)
    temporary = folder / f"{name}.json"
    temporary.write_text(
        json.dumps({"form": FORM, "tensors": name, **values}, ensure_ascii=False), encoding="utf-8"
    )
    _flush(temporary)
    os.replace(temporary, folder / "run.json")
    for old in folder.glob("tensors-*"):
        if old.name != name:
            old.unlink(missing_ok=True)
    return folder


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def read(folder: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Read what :func:`write` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no run in the folder.
    ValueError
        If it was written by a later version.
    """
    from safetensors.torch import load_file

    index = Path(folder) / "run.json"
    if not index.is_file():
        raise FileNotFoundError(f"no run in {str(folder)!r}: it holds no run.json")
    values = json.loads(index.read_text(encoding="utf-8"))
    if values.pop("form") != FORM:
        raise ValueError(
            f"the run in {str(folder)!r} was written by a later version of dakit; update dakit to read it"
        )
    name = values.pop("tensors")
    if Path(name).name != name:
        raise ValueError(f"run.json in {str(folder)!r} names {name!r}, which is not a file of that folder")
    return load_file(index.parent / name), values


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def load_weights(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a module its parameters and buffers; buffers that it made while training are made again.

    Raises
    ------
    ValueError
        If a parameter is missing, left over or of another shape.
    """
    present = module.state_dict()
    parameters = {name for name, _ in module.named_parameters()}
    for name, value in tensors.items():
        if name not in parameters and (name not in present or present[name].shape != value.shape):
            owner, _, leaf = name.rpartition(".")
            try:
                where = next(iter(present.values())).device if present else torch.device("cpu")
                module.get_submodule(owner).register_buffer(leaf, value.to(where, copy=True))
            except (AttributeError, KeyError):
                raise ValueError(
                    f"the saved weights hold {name!r}, which this {type(module).__name__} lacks"
                ) from None
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).split("\n", 1)[-1].strip()
        raise ValueError(f"the saved weights do not fit this {type(module).__name__}: {reason}") from None
