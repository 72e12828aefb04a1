"""Everything about a network, and about torch, that a careless engine could change."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def values(tensor: Tensor | None) -> Any:
    """Everything about a tensor that a careless engine could change."""
    if tensor is None:
        return None
    return (
        id(tensor),
        tensor.data_ptr(),
        tensor.dtype,
        tensor.shape,
        tensor.stride(),
        tensor.requires_grad,
        tensor.is_leaf,
        tensor._version,
        len(tensor._backward_hooks or ()),
        tensor.detach().flatten().view(torch.uint8).numpy().tobytes(),
        None if tensor.grad is None else values(tensor.grad),
    )


def held(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: held(entry) for key, entry in value.items()}
    return values(value) if isinstance(value, Tensor) else id(value)


def state_of_torch() -> dict[str, Any]:
    hooks = {
        name: list(value.items())
        for name, value in vars(torch.nn.modules.module).items()
        if name.startswith("_global_") and isinstance(value, dict)
    }
    functions = [nn.Module.__call__, nn.Module._call_impl, F.relu, F.max_pool2d, F.batch_norm]
    functions += [torch.relu, torch.clamp, torch.max_pool2d, Tensor.relu_, Tensor.__add__]
    return {
        "hooks": hooks,
        "functions": functions,
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "anomaly": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "random numbers": torch.get_rng_state().numpy().tobytes(),
    }


def state_of(net: nn.Module) -> dict[str, Any]:
    modules = {
        name: {
            "training": module.training,
            "class": type(module),
            "attributes": {
                key: held(value) for key, value in vars(module).items() if key not in ("calls",)
            },
        }
        for name, module in net.named_modules()
    }
    return {"modules": modules, "torch": state_of_torch()}
