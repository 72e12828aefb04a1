"""The same numbers on a Dask cluster, also where a worker dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import image
from torch import nn

import pullback_widgets as pw
from pullback_widgets.evaluation.evaluation import Evaluation
from pullback_widgets.evaluation.progress import Progress

distributed: Any = pytest.importorskip("distributed")

IMAGES = [image(n) for n in range(8)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    # loopback, two processes; heartbeats are quick, so that a loss is seen soon
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
        silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture
def model() -> pw.Model:
    # of torch's own modules, which other processes have
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5)
    )
    half = (0.5, 0.5, 0.5)
    return pw.Model(net.double().eval(), half, half, 8, calibration=torch.stack(IMAGES[:3]))


def run(model: pw.Model, **options: Any) -> Evaluation:
    return pw.evaluate(
        model,
        IMAGES,
        {"relative": pw.Softening.relative()},
        ["infidelity", "localisation", "randomisation"],
        batch_size=2,
        **options,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_cluster_has_the_same_bytes(client: Any, model: pw.Model, tmp_path: Path) -> None:
    seen: list[int] = []
    here = run(model, folder=tmp_path / "here")
    there = run(
        model, folder=tmp_path / "there", client=client, progress=lambda one: seen.append(one.done)
    )
    assert seen == [2, 4, 6, 8]
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert here.sentence == there.sentence
    # what is there already is no task
    (tmp_path / "there" / "batch-000001.json").unlink()
    run(model, folder=tmp_path / "there", client=client)
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def deadly(file: str) -> Any:
    """An explainer that ends its process, once."""

    def explain(inputs: Any, target: Any) -> Any:
        import os
        from pathlib import Path

        if Path(file).exists():
            Path(file).unlink()
            os._exit(1)
        return inputs

    explain.__module__ = "__main__"  # sent by value: workers cannot import this file
    return explain


def test_a_killed_worker_is_survived(client: Any, model: pw.Model, tmp_path: Path) -> None:
    def measured(**options: Any) -> Evaluation:
        return pw.evaluate(
            model, IMAGES, {"x": deadly(str(tmp_path / "once"))}, "infidelity", batch_size=2,
            **options,
        )  # fmt: skip

    here = measured()
    (tmp_path / "once").write_text("")
    there = measured(client=client)
    assert not (tmp_path / "once").exists()
    assert there.complete and there.n == 8
    assert np.array_equal(here.scores("infidelity"), there.scores("infidelity"), equal_nan=True)


def test_all_workers_and_what_they_were_sent_may_be_lost(
    cluster: Any, client: Any, model: pw.Model
) -> None:
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if not killed:
            killed.extend(client.run(os.getpid).values())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    found = run(model, client=client, progress=kill)
    assert len(killed) == 2
    assert found.complete and found.n == 8
    assert np.array_equal(found.scores("infidelity"), run(model).scores("infidelity"))


def test_errors_come_from_there_as_they_are(client: Any, model: pw.Model) -> None:
    with pytest.raises(ValueError, match="is to be of class 9"):
        run(model, client=client, targets=9)


def test_what_is_under_way_is_cancelled_where_one_stops(client: Any, model: pw.Model) -> None:
    found = run(model, client=client, stop=iter([False, False, True]).__next__)
    assert found.n == 4 and not found.complete
    deadline = time.monotonic() + 60
    while client.processing() and any(client.processing().values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
