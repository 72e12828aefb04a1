"""What importing costs, and what works where no Jupyter package is installed."""

import subprocess
import sys

import pullback_widgets as pw

JUPYTER = "ipywidgets ipycanvas IPython traitlets comm ipykernel nbformat nbconvert nbclient"

BLOCK = f"""
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in {JUPYTER.split()!r} or root.startswith("jupyter"):
            raise ModuleNotFoundError(f"No module named {{root!r}}", name=root)

sys.meta_path.insert(0, Blocked())
"""

ENGINE = """
import torch
import pullback_widgets as pw
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
    torch.nn.Linear(36, 5),
)
model = pw.Model(net, mean=(0.5,) * 3, std=(0.5,) * 3, size=8, calibration=torch.rand(2, 3, 8, 8))
session = pw.Session(model, torch.rand(3, 8, 8))
p = session.pullback(1, softening=pw.Softening.relative(0.85))
assert p.shape == (3, 8, 8) and p.isfinite().all() and p.abs().max() > 0
assert len(list(session.ascend(1, steps=2))) == 2
assert len(pw.layers(model)) == 5 and len(session.predictions(2)) == 2
"""


def run(code: str) -> str:
    """Runs code in a fresh interpreter and returns what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_neither_torch_nor_jupyter() -> None:
    loaded = run(
        "import sys, pullback_widgets; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    ).split()
    assert "pullback_widgets" in loaded
    heavy = {"torch", "torchvision", "timm", "PIL", "matplotlib", "skimage", *JUPYTER.split()}
    assert not heavy & set(loaded)


def test_listing_the_public_names_loads_nothing_more() -> None:
    heavy = run("import sys, pullback_widgets as pw; dir(pw); print('torch' in sys.modules)")
    assert heavy == "False"


def test_the_engine_works_without_any_jupyter_package() -> None:
    run(BLOCK + ENGINE)


def test_only_the_widgets_need_jupyter() -> None:
    widgets = {
        *("Explorer", "CounterfactualGrid", "TemperatureStrip", "DepthJourney", "LayerAtlas"),
        *("Compare", "GatePlayground", "RegionMap", "PathStabilityLab", "presentation"),
    }
    missing = run(
        BLOCK
        + """
import pullback_widgets as pw
for name in dir(pw):
    try:
        getattr(pw, name)
    except ImportError:
        print(name)
"""
    )
    assert set(missing.split()) == widgets


def test_the_engine_loads_no_jupyter_package_where_there_is_one() -> None:
    loaded = run(ENGINE + "import sys; print(*{n.partition('.')[0] for n in sys.modules})").split()
    assert "torch" in loaded
    assert not {"ipywidgets", "ipycanvas", "IPython", "ipykernel"} & set(loaded)


def test_the_first_picture_imports_no_other_library_of_networks_or_figures() -> None:
    loaded = run(
        """
import sys, torch
torchs_own = set(sys.modules)
import pullback_widgets as pw
explorer = pw.Explorer()
assert explorer.wait() and explorer.result is not None
print(*set(sys.modules) - torchs_own)
"""
    ).split()
    assert "pullback_widgets.networks.efficientnet" in loaded
    heavy = {"timm", "torchvision", "torch._dynamo", "sympy", "matplotlib", "skimage", "scipy"}
    assert not heavy & set(loaded)


def test_the_explorer_without_jupyter_says_what_to_install() -> None:
    message = run(
        BLOCK
        + """
import pullback_widgets as pw
try:
    pw.Explorer
except ImportError as error:
    print(error)
"""
    )
    assert "pip install ipywidgets ipycanvas" in message


def test_public_names_are_listed_and_exist() -> None:
    names = {
        *("Model", "Session", "Softening", "pullback", "layers", "load_model"),
        *("Logit", "Channel", "Unit", "Direction", "Difference"),
        *("ImageError", "DownloadError", "set_device", "get_device", "Explorer"),
    }
    assert names <= set(dir(pw))
    for name in names - {"Explorer"}:
        assert getattr(pw, name) is getattr(pw, name)
    assert issubclass(pw.ImageError, ValueError)
    assert issubclass(pw.DownloadError, RuntimeError)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(pw, "no_such_name")
