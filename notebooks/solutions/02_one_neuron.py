# %% 2.1
def predicted_change(x, d):
    return (gradient(x) * d).sum()


pw.check("2.1", (network, predicted_change))
# %% 2.1 wrong "one number"
pw.check("2.1", (network, lambda x, d: gradient(x) * d))
# %% 2.1 wrong "sign is the wrong way round"
pw.check("2.1", (network, lambda x, d: -(gradient(x) * d).sum()))
# %% 2.1 wrong "score after the step"
pw.check("2.1", (network, lambda x, d: network(x[None])[0, 0] + (gradient(x) * d).sum()))
# %% 2.1 wrong "length is lost"
pw.check("2.1", (network, lambda x, d: (gradient(x) * d / d.norm()).sum()))
# %% 2.1 wrong "dot product"
pw.check("2.1", (network, lambda x, d: gradient(x).sum()))
# %% 2.2
here = gradient(cross)
length = next(
    n / 100
    for n in range(1, 300)
    if not torch.equal(here, gradient(cross + torch.tensor([n / 100, 0.0])))
)
pw.check("2.2", (regions, length))
# %% 2.2 wrong "go farther"
pw.check("2.2", (regions, 0.001))
# %% 2.2 wrong "too far"
pw.check("2.2", (regions, 2.9))
# %% 2.2 wrong "where the line lies"
pw.check("2.2", (regions, float(cross[0]) + length))
# %% 2.3
from time import monotonic

low, high, end = 0.01, 2.0, monotonic() + 60
while monotonic() < end:
    blend.temperature = (low + high) / 2
    blend.wait()
    own = blend.result.weight[blend.result.here]
    if abs(own - 0.5) < 0.04:
        break
    low, high = (blend.temperature, high) if own > 0.5 else (low, blend.temperature)
pw.check("2.3", blend)
# %% 2.3 wrong "higher temperature"
blend.temperature = 0.01
pw.check("2.3", blend)
# %% 2.3 wrong "lower temperature"
blend.temperature = 2.0
pw.check("2.3", blend)
# %% 2.3 wrong "write blend"
pw.check("2.3", 0.15)
# %% 2.4
pw.check("2.4", "linear")
# %% 2.4 wrong "other limit"
pw.check("2.4", "gradient")
# %% 2.4 wrong "one half, not zero"
pw.check("2.4", "zero")
# %% 2.4 wrong "does not toss coins"
pw.check("2.4", "random")
