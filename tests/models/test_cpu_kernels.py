"""The loops that training on a CPU uses: they agree with PyTorch's operations."""

from collections.abc import Iterator

import pytest
import torch

from grafprint.models import cpu_kernels, graph


@pytest.fixture(params=[1, 3], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Alone, and with others: these have no idea that gradients are not recorded here."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("graphs", [0, 1, 5])
def test_neighbour_maxima_and_their_gradient_are_those_of_pytorch(dtype, graphs):
    generator = torch.Generator().manual_seed(0)
    # All different, also as bfloat16: of equals, PyTorch lets each have a share.
    nodes = torch.rand(graphs, 140, generator=generator).argsort().view(graphs, 20, 7).to(dtype)
    neighbours = torch.randint(20, (graphs, 20, 4), generator=generator)
    sent = torch.randn(graphs, 20, 7, generator=generator).to(dtype)
    found = []
    for maxima in (
        cpu_kernels.neighbour_maxima,
        lambda x, ids: x[torch.arange(graphs)[:, None, None], ids].amax(dim=2),
    ):
        leaf = nodes.clone().requires_grad_()
        result = maxima(leaf, neighbours)
        result.backward(sent)
        found.append((result.detach(), leaf.grad))
    assert torch.equal(found[0][0], found[1][0]) and found[0][0].dtype == dtype
    rounding = 1e-5 if dtype == torch.float32 else 0.05  # PyTorch adds up in bfloat16
    torch.testing.assert_close(found[0][1], found[1][1], rtol=rounding, atol=rounding)


def test_of_equal_neighbours_the_first_gets_the_gradient():
    nodes = torch.ones(1, 3, 1, requires_grad=True)
    neighbours = torch.tensor([[[2, 1], [2, 0], [1, 0]]])
    cpu_kernels.neighbour_maxima(nodes, neighbours).sum().backward()
    assert nodes.grad is not None and nodes.grad.flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize(("k", "dilation"), [(3, 1), (5, 2)])
def test_the_nearest_are_those_that_topk_finds(k, dilation):
    nodes = torch.randn(5, 40, 8, generator=torch.Generator().manual_seed(1))
    found = graph.knn(nodes, k, dilation)
    unit = torch.nn.functional.normalize(nodes, dim=-1)
    closeness = unit @ unit.mT
    closeness.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    best = closeness.topk(k * dilation)
    assert torch.equal(found.neighbours, best.indices[..., ::dilation])
    expected = (2 - 2 * best.values[..., ::dilation]).clamp_min(0).sqrt()
    torch.testing.assert_close(found.distances, expected, rtol=0, atol=1e-3)


def test_a_training_step_has_the_gradients_that_pytorch_computes(monkeypatch):
    torch.manual_seed(0)
    block = graph.GraphBlock(8, (4, 4), k=3)
    x = torch.randn(3, 8, 4, 4).to(memory_format=torch.channels_last)
    gradients = []
    for compiling in (False, True):  # while it compiles, a block uses PyTorch's operations alone
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda value=compiling: value)
        leaf = x.clone().requires_grad_()
        block(leaf)[0].square().sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)
