# %% 6.1
from torch.nn.utils import fusion


def without_norms(network, fold):
    """A copy of the small network without its norms; fold makes one layer of two."""
    copied = copy.deepcopy(network).eval()
    for name, norm in list(copied.named_children()):
        if name.startswith("norm"):
            before = name.replace("norm", "linear" if name == "norm4" else "conv")
            setattr(copied, before, fold(copied.get_submodule(before), norm))
            setattr(copied, name, nn.Identity())
    return copied


def fold(layer, norm):
    kind = "conv" if isinstance(layer, nn.Conv2d) else "linear"
    return getattr(fusion, f"fuse_{kind}_bn_eval")(layer, norm)


folded = without_norms(normed, fold)
pw.check("6.1", (normed, folded))
# %% 6.1 wrong "layers are as they were"
pw.check("6.1", (normed, without_norms(normed, lambda layer, norm: layer)))
# %% 6.1 wrong "still has 4 batch norms"
pw.check("6.1", (normed, copy.deepcopy(normed)))
# %% 6.1 wrong "the same object"
pw.check("6.1", (normed, normed))


# %% 6.1 wrong "take its square root"
def fold_by_variance(layer, norm):
    factor = norm.weight / (norm.running_var + norm.eps)
    with torch.no_grad():
        layer.weight *= factor.view(-1, *[1] * (layer.weight.dim() - 1))
        layer.bias.copy_((layer.bias - norm.running_mean) * factor + norm.bias)
    return layer


pw.check("6.1", (normed, without_norms(normed, fold_by_variance)))
# %% 6.1 wrong "the other way round"
pw.check("6.1", (folded, normed))
# %% 6.2
t = 50.0
pw.check("6.2", (normed, t))
# %% 6.2 wrong "make the gates softer"
pw.check("6.2", (normed, 0.85))
# %% 6.2 wrong "above 0"
pw.check("6.2", (normed, -1))


# %% 6.3
def gates(sessions):
    return (sessions["with"].activations("relu4") > 0).float()


share_right = probe(gates(trained_on), gates(tested_on))
pw.check("6.3", (normed, share_right))
# %% 6.3 wrong "for the values"
pw.check("6.3", (normed, probes["with"][-1]))
# %% 6.3 wrong "with all labels"
pw.check("6.3", (normed, probe(gates(trained_on), gates(tested_on), count=1438)))
# %% 6.3 wrong "are they 1.0 and 0.0"
pw.check("6.3", (normed, probes["untrained"][-1]))
# %% 6.3 wrong "divide by the number"
pw.check("6.3", (normed, round(359 * share_right.value)))
