"""Backbones of ``transformers`` that the user has on disk: image and text models, by path or by name.

Nothing is downloaded (``local_files_only``), no code from a model's folder is run, and only safetensors weights
are read.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dakit.models.layers import Standardise


class Hub(nn.Module):
    """A transformers model as a backbone.

    Parameters
    ----------
    model : transformers model
    shape : tuple of int
        (channels, height, width) for an image model; (length,) for a text model, whose inputs are token ids. Domains
        hold floating-point tensors, so ids arrive as floats and are turned into integers here (exact below 2^24).
    name : str
        Path or name, for the spec.
    pool : {"mean", "first"}
        Features from the last hidden states: their mean over the positions that are not padding, or the first position.
        Models with an embedding of their own (CLIP and its kin) give that instead.
    trainable : bool
        Train the model's weights too; False freezes them, in evaluation mode.
    mean, sd : sequence of float
        Normalisation of images in [0, 1].
    """

    def __init__(
        self, model, shape: tuple[int, ...], *, name: str, pool: str, trainable: bool, mean, sd
    ) -> None:
        super().__init__()
        if pool not in ("mean", "first"):
            raise ValueError(f"pool must be 'mean' or 'first', got {pool!r}")
        self.model, self.pool, self.trainable = model, pool, trainable
        self.image = len(shape) == 3
        vision = getattr(model.config, "vision_config", model.config)
        size = getattr(vision, "image_size", None) or shape[-1]
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.standardise = Standardise(mean, sd)
        text = getattr(model.config, "text_config", model.config)
        self.padding = getattr(text, "pad_token_id", None)
        model.requires_grad_(trainable)
        self.train(False)
        with torch.no_grad():
            self.out_features = self(torch.zeros(1, *shape)).shape[1]
        self.spec = {"name": f"hub:{name}", "shape": list(shape), "pool": pool, "trainable": trainable}
        self.train()

    def train(self, mode: bool = True) -> "Hub":
        """Training mode for all but a frozen model."""
        super().train(mode)
        if not self.trainable:
            self.model.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, height, width) or (b, length) to (b, d)."""
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            return self._image(x) if self.image else self._text(x)

    def _image(self, x: Tensor) -> Tensor:
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if x.shape[2:] != self.size:
            x = F.interpolate(x, size=self.size, mode="bilinear", align_corners=False, antialias=True)
        x = self.standardise(x)
        if hasattr(self.model, "get_image_features"):
            return _tensor(self.model.get_image_features(pixel_values=x))
        hidden = self.model(pixel_values=x).last_hidden_state
        if hidden.ndim == 4:  # a convolutional model: (b, d, h, w)
            return hidden.mean(dim=(2, 3))
        return hidden.mean(dim=1) if self.pool == "mean" else hidden[:, 0]

    def _text(self, x: Tensor) -> Tensor:
        ids = x.long()
        mask = torch.ones_like(ids) if self.padding is None else (ids != self.padding).long()
        mask[:, 0] = 1  # a text of padding only still needs one position
        if hasattr(self.model, "get_text_features"):
            return _tensor(self.model.get_text_features(input_ids=ids, attention_mask=mask))
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.pool == "first":
            return hidden[:, 0]
        weights = mask.unsqueeze(2).to(hidden.dtype)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def _tensor(output) -> Tensor:
    return output if isinstance(output, Tensor) else output.pooler_output


def load(name: str, shape: tuple[int, ...], *, pool: str = "mean", trainable: bool = False) -> Hub:
    """A transformers model on this disk as a backbone.

    Parameters
    ----------
    name : str
        A folder with ``config.json`` and ``model.safetensors``, or a name that is in the local cache.
    shape : tuple of int
        (channels, height, width) or (length,).
    pool, trainable
        As for :class:`Hub`.

    Raises
    ------
    ImportError
        If transformers is not installed.
    ValueError
        If there is no such model on this disk, or it is neither an image nor a text model.
    """
    try:
        import transformers
    except ImportError:
        raise ImportError(
            f"backbone 'hub:{name}' needs transformers, which is not installed: pip install 'dakit[hub]'"
        ) from None
    if len(shape) not in (1, 3):
        raise ValueError(
            f"hub backbones take pictures (channels, height, width) or token ids (length,), got {shape}"
        )
    here = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = transformers.AutoModel.from_pretrained(name, use_safetensors=True, **here)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"no safetensors model {name!r} on this disk (nothing is downloaded): {reason}"
        ) from None
    image = len(shape) == 3
    wants = "get_image_features" if image else "get_text_features"
    main = "pixel_values" if image else "input_ids"
    if not hasattr(model, wants) and model.main_input_name != main:
        raise ValueError(
            f"model {name!r} takes {model.main_input_name}, which examples of shape {shape} are not"
            f" ({'pictures' if image else 'token ids'})"
        )
    mean, sd = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    if image:
        try:
            values, _ = transformers.image_processing_base.ImageProcessingMixin.get_image_processor_dict(
                name, **here
            )
            mean, sd = values.get("image_mean") or mean, values.get("image_std") or sd
        except OSError:
            pass  # a model saved without its preprocessing: [0, 1] becomes [-1, 1], as for most vision transformers
    return Hub(model, shape, name=name, pool=pool, trainable=trainable, mean=mean, sd=sd)
