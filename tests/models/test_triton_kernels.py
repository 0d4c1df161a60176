"""The kernels for GPUs: on a GPU where there is one, else by Triton's interpreter."""

import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton", reason="comes with PyTorch's builds for NVIDIA's GPUs")


def test_the_kernels_do_what_pytorch_does():
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
