"""Compare the Triton kernels with PyTorch's own operations; TRITON_INTERPRET=1 needs no GPU.

TRITON_INTERPRET=1 python -m tests.models.interpreted_kernels
"""

import torch

from grafprint.models import graph, triton_kernels


def check(device: str) -> None:
    """Compare neighbours, maxima and gradients, for graphs of odd sizes in both precisions."""
    torch.manual_seed(0)
    for nodes, channels, k, dilation, dtype in (
        (32, 64, 3, 2, torch.float32),
        (8, 16, 3, 2, torch.float32),
        (40, 48, 2, 1, torch.float32),
        (72, 64, 3, 3, torch.bfloat16),
    ):
        x = torch.randn(2, nodes, channels, device=device).to(dtype)
        graph._KERNELS = None
        expected = graph.knn(x, k, dilation)
        found, cosines = triton_kernels.nearest(x, k, dilation)
        assert torch.equal(found, expected.neighbours)
        close = 1 - expected.distances.square() / 2
        torch.testing.assert_close(cosines, close, atol=1e-5, rtol=0)

        mine, theirs = (x.clone().requires_grad_() for _ in range(2))
        maxima = triton_kernels.neighbour_maxima(mine, found)
        plain = graph.max_relative(theirs, found) + theirs
        torch.testing.assert_close(
            maxima, plain, atol=0.02 if dtype == torch.bfloat16 else 1e-5, rtol=0
        )
        weights = torch.randn_like(x)
        (maxima * weights).sum().backward()
        (plain * weights).sum().backward()
        torch.testing.assert_close(mine.grad, theirs.grad, atol=0.05, rtol=0.02)

    twins = torch.ones(1, 10, 8, device=device)
    own = torch.arange(10, device=device).view(1, 10, 1)
    assert (triton_kernels.nearest(twins, 3, 1)[0] != own).all()


if __name__ == "__main__":
    check("cpu")
