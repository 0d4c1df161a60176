"""Whether to compute in bfloat16: a processor that can may still be quicker without."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

from grafprint.models.fast.fused_layers import Dense

_ROWS, _CHANNELS = 512, 512  # of the products timed: about a millisecond each
_ROUNDS = 7
_WORTH = 0.8  # of float32's time: less gained does not pay for fewer digits


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; where not, it is imitated, slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and torch.cpu._is_avx512_bf16_supported()


def faster_in_bf16(device: torch.device) -> bool:
    """Whether the device has such instructions and they are worth it.

    On a processor that is timed, once in each process: some have bfloat16 at twice the rate of
    float32, some at half of it.
    """
    return computes_bf16(device) and (device.type == "cuda" or _processor_is_faster())


@lru_cache(maxsize=1)
def _processor_is_faster() -> bool:
    """The shortest of several products in each precision, in turn, so that noise is shared."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(_ROWS, _CHANNELS, generator=generator)
    weight, bias = torch.randn(_CHANNELS, _CHANNELS, generator=generator), torch.zeros(_CHANNELS)
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    inputs = {dtype: (Dense(weight, bias, dtype), rows.to(dtype)) for dtype in best}
    with torch.inference_mode():
        for product, of in inputs.values():  # the first of a shape is compiled
            product(of)
        for _ in range(_ROUNDS):
            for dtype, (product, of) in inputs.items():
                began = time.perf_counter()
                product(of)
                best[dtype] = min(best[dtype], time.perf_counter() - began)
    return best[torch.bfloat16] < _WORTH * best[torch.float32]
