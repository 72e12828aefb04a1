"""Journeys through the Explorer: photographs and networks, and those that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from journeys import (
    GRIP,
    explains,
    field,
    find,
    is_idle,
    pulled,
    rgb,
    screen,
    shows,
    unfold,
    view_button,
)
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from labpage import LabPage


def test_uploads(lab: LabPage, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC).save(good)
    bad.write_text("This is no photograph.")
    unfold(lab, "Photograph and network", ".pullback-upload")
    for label in ("Photograph", "Network"):
        box = field(lab, label, "select").bounding_box()
        assert box is not None and box["height"] < 40  # one line, not a box

    lab.upload(".pullback-upload", good)
    uploaded = rgb(lab, f"pulled(None, image={str(good)!r})")
    shows(lab, uploaded)
    view_button(lab, "photograph").click()
    photograph = rgb(lab, f"seen({str(good)!r})")
    shows(lab, photograph)

    with lab.expecting_error():
        lab.upload(".pullback-upload", bad)
        explains(lab, "bad.png")
        np.testing.assert_array_equal(screen(lab)[:, GRIP], photograph[:, GRIP])

        # The good one goes on.
        view_button(lab, "pullback").click()
        shows(lab, uploaded)
        lab.wait_until(lambda: not lab.visible_errors(), "no error any more")

    field(lab, "Photograph", "select").select_option(label="chelsea")
    shows(lab, rgb(lab, "pulled(None, image='chelsea')"))


def test_network_that_cannot_be_had(lab: LabPage, tmp_path: Path) -> None:
    lab.python(f"""
        import torch.hub, torchvision.models
        hub, weights = torch.hub.get_dir(), torchvision.models.ResNet18_Weights.IMAGENET1K_V1.value
        url = weights.url
        torch.hub.set_dir({str(tmp_path)!r})
        weights.url = "file://{tmp_path}/there/is/no/resnet18-f37072fd.pth"
    """)
    picture = pulled(lab, "None")
    unfold(lab, "Photograph and network", ".pullback-upload")
    network = field(lab, "Network", "select")
    built_in = network.input_value()
    option = next(
        text for text in network.locator("option").all_inner_texts() if "ResNet18" in text
    )
    assert "MB" in option
    try:
        with lab.expecting_error():
            network.select_option(label=option)
            explains(lab, "ResNet18")
            np.testing.assert_array_equal(screen(lab)[:, GRIP], picture[:, GRIP])
            lab.wait_until(lambda: network.input_value() == built_in, "the network that it has")
            lab.wait_until(lambda: is_idle(lab), "idle")

            find(lab, ".pullback-top").nth(1).click()
            shows(lab, pulled(lab, "explorer.result.predictions[1].index"))
            lab.wait_until(lambda: not lab.visible_errors(), "no error any more")
    finally:
        lab.python("torch.hub.set_dir(hub); weights.url = url")


def test_network_that_raises(lab: LabPage) -> None:
    lab.python("""
class Moody(torch.nn.Module):
    sulks = False

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 8, 5, stride=2)
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x):
        if self.sulks:
            raise RuntimeError("the network is in no mood for this")
        return self.linear(self.convolution(x).relu().mean((2, 3)))

moody = Moody().eval()
mean = std = (0.5, 0.5, 0.5)
moody_model = pw.Model(moody, mean=mean, std=std, size=224)
explorer.model = moody_model

def moody_pulled(image):
    return pixels.signed_map(pw.pullback(moody_model, image, None, softening=default))
""")
    coffee, cat = rgb(lab, "moody_pulled('coffee')"), rgb(lab, "moody_pulled('chelsea')")
    shows(lab, coffee)

    unfold(lab, "Photograph and network", ".pullback-upload")
    photograph = field(lab, "Photograph", "select")
    lab.python("moody.sulks = True")
    with lab.expecting_error():
        photograph.select_option(label="astronaut")
        explains(lab, "the network is in no mood for this")
        np.testing.assert_array_equal(screen(lab)[:, GRIP], coffee[:, GRIP])
        lab.wait_until(lambda: is_idle(lab), "idle")

        lab.python("moody.sulks = False")
        photograph.select_option(label="chelsea")
        shows(lab, cat)
        lab.wait_until(lambda: not lab.visible_errors(), "no error any more")


def test_a_photograph_of_20_megabytes(lab: LabPage, tmp_path: Path) -> None:
    """More than twice what Jupyter's server takes by default; the command raises its limit."""
    large = tmp_path / "large.png"
    noise = np.random.default_rng(0).integers(0, 256, (2600, 2600, 3), np.uint8)
    Image.fromarray(noise).save(large, compress_level=0)
    assert large.stat().st_size > 20_000_000
    view_button(lab, "photograph").click()
    unfold(lab, "Photograph and network", ".pullback-upload")
    lab.upload(".pullback-upload", large)
    shows(lab, rgb(lab, f"seen({str(large)!r})"))


def test_a_folder_and_the_part_that_the_network_sees(lab: LabPage, tmp_path: Path) -> None:
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        picture = Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC)
        picture.save(tmp_path / f"{number}.png")
    first, second = (str(tmp_path / f"{number}.png") for number in range(2))
    view_button(lab, "photograph").click()
    unfold(lab, "Photograph and network", ".pullback-upload")
    lab.python(f"explorer.image = {str(tmp_path)!r}")
    shows(lab, rgb(lab, f"seen({first!r})"))
    find(lab, "button").filter(has_text="Photo ▶").click()
    shows(lab, rgb(lab, f"seen({second!r})"))
    field(lab, "The network sees", "select").select_option(label="all, squeezed")
    lab.python("from pullback_widgets.widgets.kit.crop import SQUEEZED, cropped")
    shows(lab, rgb(lab, f"seen(cropped({second!r}, SQUEEZED, ''))"))
