"""Whether to compute in bfloat16: a CPU that supports it may still be faster in float32."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

from grafprint.models.fast.fused_layers import Dense

_ROWS, _CHANNELS = 512, 512  # size of the products timed: about a millisecond each
_ROUNDS = 7
_WORTH_IT = 0.8  # of float32's time: a smaller gain does not make up for the lost precision


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16, and does not emulate it slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)  # private
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512") and has_instructions()


def faster_in_bf16(device: torch.device) -> bool:
    """Whether the device has such instructions and they pay.

    A CPU is timed, once per process: some compute bfloat16 at twice the rate of float32, some at
    half of it.
    """
    return computes_bf16(device) and (device.type == "cuda" or _cpu_is_faster())


@lru_cache(maxsize=1)
def _cpu_is_faster() -> bool:
    """Compare the best times of a product in each precision, in turn, so that both meet noise."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(_ROWS, _CHANNELS, generator=generator)
    weight, bias = torch.randn(_CHANNELS, _CHANNELS, generator=generator), torch.zeros(_CHANNELS)
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    products = {dtype: (Dense(weight, bias, dtype), rows.to(dtype)) for dtype in best}
    with torch.inference_mode():
        for product, x in products.values():  # oneDNN compiles at the first call
            product(x)
        for _ in range(_ROUNDS):
            for dtype, (product, x) in products.items():
                began = time.perf_counter()
                product(x)
                best[dtype] = min(best[dtype], time.perf_counter() - began)
    return best[torch.bfloat16] < _WORTH_IT * best[torch.float32]
