"""The Triton kernels, on a GPU if there is one, else in Triton's interpreter."""

import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton", reason="comes with PyTorch's builds for NVIDIA's GPUs")


def test_the_kernels_agree_with_pytorch():
    if torch.cuda.is_available():
        from tests.models.interpreted_kernels import check

        check("cuda")
        return
    ran = subprocess.run(
        [sys.executable, "-m", "tests.models.interpreted_kernels"],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
