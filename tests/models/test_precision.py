"""bfloat16 is chosen only on devices that compute in it, and where it is faster."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from grafprint.fingerprint import Fingerprinter
from grafprint.models.encoders import GraFPrint, GraFPrintConfig
from grafprint.models.fast import precision

CPU = torch.device("cpu")


def slow_product(slow: torch.dtype) -> Callable[..., Any]:
    """A stand-in for Dense that is much slower in one precision."""

    class Product:
        def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
            self.pause_s = 0.02 if dtype == slow else 0.0

        def __call__(self, rows: Tensor) -> Tensor:
            time.sleep(self.pause_s)
            return rows

    return Product


@pytest.mark.parametrize("slow, chosen", [(torch.bfloat16, "fp32"), (torch.float32, "bf16")])
def test_the_faster_precision_is_chosen(monkeypatch, slow, chosen):
    monkeypatch.setattr(precision, "computes_bf16", lambda device: True)
    monkeypatch.setattr(precision, "Dense", slow_product(slow))
    precision._cpu_is_faster.cache_clear()
    network = GraFPrint(GraFPrintConfig(widths=(16, 32, 48, 64), pooled_width=64, hidden_width=96))
    assert Fingerprinter(network).precision == chosen
    precision._cpu_is_faster.cache_clear()


def test_real_products_are_timed():
    precision._cpu_is_faster.cache_clear()
    assert precision._cpu_is_faster() in (True, False)
    assert precision.faster_in_bf16(CPU) <= precision.computes_bf16(CPU)


def test_an_unknown_cpu_computes_no_bfloat16(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert precision.computes_bf16(CPU) is False
