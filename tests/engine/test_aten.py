"""Exported graphs, whose calls are operators of ``torch.ops.aten``, and graphs of ``torch.fx``."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import SIZE, image, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.aten import namesake


class Rectified(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.next = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 2)
        self.prelu, self.head = nn.PReLU(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = F.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        z = z + F.relu6(z)
        z = F.leaky_relu(self.prelu(F.hardtanh(self.next(z), 0, 6)).clamp(min=0), 0.1)
        return self.head(F.relu(z, inplace=True).mean((2, 3)))


class Smooth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8), nn.Linear(8, 3)
        self.group = nn.GroupNorm(2, 8)

    def forward(self, x: Tensor) -> Tensor:
        z = F.silu(self.group(self.conv(x))).flatten(2).transpose(1, 2)
        n = self.norm(z)
        z = z + F.scaled_dot_product_attention(n, n, n)
        z = F.gelu(z) * torch.sigmoid(z) + F.hardswish(z) + F.mish(z)
        return self.head(z.mean(1))


SOFTENINGS = [pw.Softening.hard(), pw.Softening.relative(), pw.Softening.paper_v3()]
NETS: list[Callable[[], nn.Module]] = [Rectified, Smooth]


def exported(net: nn.Module) -> nn.Module:
    batch = ({0: torch.export.Dim("n")},)
    x = torch.rand(3, 3, SIZE, SIZE, dtype=torch.float64)
    return torch.export.export(net, (x,), dynamic_shapes=batch).module()


@pytest.mark.parametrize("build", NETS)
@pytest.mark.parametrize("way", [exported, torch.fx.symbolic_trace])
def test_a_graph_is_softened_as_its_network(
    build: Callable[[], nn.Module], way: Callable[[nn.Module], nn.Module]
) -> None:
    net = seeded(build())
    plain, graph = pw.Session(wrap(net), image(1)), pw.Session(wrap(way(net)), image(1))
    for softening in SOFTENINGS:
        assert torch.equal(graph.pullback(1, softening), plain.pullback(1, softening))
    one, other = graph.report, plain.report
    assert (one.kept, one.cut, one.held) == (other.kept, other.cut, other.held)
    assert [(gate.operation, gate.scale) for gate in one.gates] == [
        (gate.operation, gate.scale) for gate in other.gates
    ]


def test_a_graph_for_one_image_says_how_to_export_it() -> None:
    net = seeded(Rectified())
    one = torch.rand(1, 3, SIZE, SIZE, dtype=torch.float64)
    graph = torch.export.export(net, (one,)).module()
    hard, plain = pw.Softening.hard(), wrap(net)
    assert torch.equal(
        pw.pullback(wrap(graph), image(1), 1, hard), pw.pullback(plain, image(1), 1, hard)
    )
    with pytest.raises(ValueError, match="exported for inputs of other shapes.*dynamic_shapes"):
        pw.pullback(wrap(graph), image(1), 1)
    own = image(3, batch=1)
    assert torch.equal(
        pw.pullback(wrap(graph, own), image(1), 1), pw.pullback(wrap(net, own), image(1), 1)
    )


def test_an_exported_program_says_what_to_give() -> None:
    program = torch.export.export(nn.ReLU(), (torch.rand(1, 3, 4, 4),))
    with pytest.raises(TypeError, match=r"ExportedProgram; expected .* its module\(\) is"):
        pw.Model(program)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (torch.ops.aten.relu.default, torch.relu),
        (torch.ops.aten.relu, torch.relu),
        (torch.ops.aten.gelu.default, F.gelu),
        (torch.ops.aten.add_.Tensor, Tensor.add_),
        (torch.ops.aten.max_pool2d_with_indices.default, F.max_pool2d_with_indices),
        (torch.relu, torch.relu),
    ],
)
def test_operators_have_namesakes(operator: Any, name: Any) -> None:
    assert namesake(operator) is name
