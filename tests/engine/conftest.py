"""The devices that tests of numbers run on: the CPU, and whatever else the machine has.

A module whose tests make numbers says ``pytestmark = pytest.mark.usefixtures("device")`` and makes
its networks and images by ``networks``. ``--device elsewhere`` runs it on the stand-in of
``elsewhere.py``, where a tensor left on the CPU is an error.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from elsewhere import ELSEWHERE, elsewhere
from place import placed, present


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs on each device, named in the test's id only where there are several."""
    if "device" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--device") or present()
    if wanted != ["cpu"]:
        metafunc.parametrize("device", wanted, indirect=True, scope="module")


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Where networks and images are while the tests of a module run."""
    name = getattr(request, "param", "cpu")
    if name == "elsewhere":
        with elsewhere(), placed(ELSEWHERE):
            yield ELSEWHERE
    elif name == "cuda":
        # Tests compare bit for bit, or to the last digits.
        with pytest.MonkeyPatch.context() as exact, placed(torch.device("cuda")):
            exact.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
            exact.setattr(torch.backends.cudnn, "allow_tf32", False)
            exact.setattr(torch.backends.cudnn, "deterministic", True)
            yield torch.device("cuda")
    else:
        with placed(torch.device(name)):
            yield torch.device(name)
