"""Where and how precisely to compute: device, number format, memory layout.

On a GPU, pictures train under automatic mixed precision. On a CPU what is fastest depends on the processor and the
network, so a few steps are tried on copies and the fastest combination is taken. Features leave the backbone as float32
whatever is chosen; losses and statistics never see anything else.
"""

import copy
import json
import logging
import time
from dataclasses import asdict, dataclass, field, replace

import torch

from dakit.domains.domain import Domain
from dakit.methods.method import Batch, Method

log = logging.getLogger("dakit")

PRECISIONS = ("auto", "float32", "bf16", "fp16")
LAYOUTS = ("auto", "contiguous", "channels_last")
MARGIN = 0.9  # another combination must take less than this share of the plain one's time
ROUNDS = 4
WORTH = 100  # steps below which trying out would cost more than it saves

_tried: dict[str, "Choice"] = {}


@dataclass(frozen=True)
class Choice:
    """How a run computes.

    Attributes
    ----------
    precision : {"float32", "bf16", "fp16"}
    memory_format : {"contiguous", "channels_last"}
    tried : dict of str to float
        Milliseconds a step of each combination that was tried; empty where nothing was.
    """

    precision: str
    memory_format: str
    tried: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def dtype(self) -> torch.dtype | None:
        """What autocast is set to; None is full precision."""
        return {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.memory_format == "channels_last" else torch.contiguous_format

    def as_dict(self) -> dict:
        return asdict(self)


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """The device to train on; ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    ValueError
        If the name is no device, or the device is not there.
    """
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda', 'cuda:0' or 'mps', got {device!r}") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {device!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA devices here"
        )
    return chosen


def native_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself; an emulated bf16 is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, c)() for c in checks if hasattr(torch.cpu, c))
    return False


def choose(
    method: Method,
    source: Batch | None,
    target: Batch | None,
    *,
    precision: str = "auto",
    memory_format: str = "auto",
    steps: int = 1000,
    domains: tuple[Domain | None, Domain | None] | None = None,
) -> Choice:
    """Precision and memory layout for a run.

    ``precision="float32"`` on a CPU tries nothing and takes the layout that the backbone names as its own
    (``backbone.cpu_memory_format``), so that a seed gives the same bits every time. With ``precision="auto"`` pictures
    on a CPU are tried in the layouts and formats that the caller leaves open.

    Parameters
    ----------
    method : Method
        On its device. Not changed.
    source, target : Batch or None
        What a step will look like.
    precision, memory_format : str
        As for ``fit``.
    steps : int
        Length of the run; a short one is not worth trying out.
    domains : (Domain or None, Domain or None), optional
        For methods that need a pass over the data before their first step.
    """
    lead = source or target
    device, pictures = lead.x.device, lead.x.ndim == 4
    own_layout = getattr(method.backbone, "cpu_memory_format", torch.contiguous_format)
    layout = memory_format
    if layout == "auto":
        layout = "channels_last" if pictures and own_layout is torch.channels_last else "contiguous"
    if layout == "channels_last" and not pictures:
        raise ValueError(f"memory_format='channels_last' needs pictures (n, c, h, w), got {lead.x.ndim} axes")
    if device.type != "cpu":
        if memory_format == "auto" and pictures and device.type == "cuda":
            layout = "channels_last"
        if precision == "auto":
            mixed = "bf16" if native_bf16(device) else "fp16"
            precision = mixed if pictures and device.type == "cuda" else "float32"
        return Choice(precision, layout)
    if precision == "fp16":
        raise ValueError("precision='fp16' needs a GPU; on a CPU choose 'float32', 'bf16' or 'auto'")
    if precision == "float32":
        return Choice("float32", layout)
    if precision == "bf16" and memory_format != "auto":
        return Choice("bf16", memory_format)
    formats = [precision] if precision == "bf16" else ["float32"] + ["bf16"] * native_bf16(device)
    layouts = [memory_format] if memory_format != "auto" else ["contiguous", "channels_last"]
    if not pictures or steps < WORTH or len(formats) * len(layouts) == 1:
        return Choice(formats[0], layout)
    key = json.dumps(
        [repr(type(method)), repr(method), _shape(source), _shape(target), formats, layouts, _threads()]
    )
    if key not in _tried:
        _tried[key] = _fastest(
            method, source, target, [Choice(f, m) for f in formats for m in layouts], domains
        )
    return _tried[key]


def _shape(batch: Batch | None) -> list[int]:
    return [] if batch is None else list(batch.x.shape)


def _threads() -> int:
    return torch.get_num_threads()


def _fastest(
    method: Method,
    source: Batch | None,
    target: Batch | None,
    candidates: list[Choice],
    domains: tuple[Domain | None, Domain | None] | None,
) -> Choice:
    """Time one forward and backward pass of each candidate, on a copy, in turns; take the best of each."""
    copies = {}
    # With one thread, the time that this thread really computed: other programs cannot then tip the scale.
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds = {c: float("inf") for c in candidates}
    with torch.random.fork_rng(devices=[]):
        try:
            ready = copy.deepcopy(method)
            if domains is not None and type(method).prepare is not Method.prepare:
                ready.prepare(*domains, 0.0)
            for c in candidates:
                copies[c] = copy.deepcopy(ready).to(memory_format=c.layout).train()
                copies[c].autocast_dtype = c.dtype
            for round_ in range(ROUNDS + 1):
                for c in candidates:
                    both = [_in_layout(b, c.layout) for b in (source, target)]
                    start = clock()
                    for phase, _ in copies[c].phases():
                        copies[c].phase = phase
                        sum(copies[c].losses(*both, 0.5).values()).backward()
                    if round_:  # the first round compiles and warms up
                        seconds[c] = min(seconds[c], clock() - start)
        except Exception as error:  # trying out must never stop a run; the run itself will say what is wrong
            log.info("trying precisions and layouts failed (%s); taking plain float32", error)
            return Choice("float32", "contiguous")
    plain = seconds[candidates[0]]
    best = min(candidates, key=seconds.get)
    if seconds[best] > MARGIN * plain:
        best = candidates[0]
    tried = {f"{c.precision}, {c.memory_format}": round(1000 * s, 3) for c, s in seconds.items()}
    log.info("milliseconds a step: %s; taking %s, %s", tried, best.precision, best.memory_format)
    return Choice(best.precision, best.memory_format, tried)


def _in_layout(batch: Batch | None, layout: torch.memory_format) -> Batch | None:
    return None if batch is None else replace(batch, x=batch.x.contiguous(memory_format=layout))
