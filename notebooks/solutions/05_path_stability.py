# %% 5.1
settled = [int((shares >= 0.95).argmax()) for shares in paths.agreement]
first = (paths.layers[settled.index(min(settled))], min(settled))
pw.check("5.1", (paths, *first))
# %% 5.1 wrong "another layer is there earlier"
pw.check("5.1", (paths, paths.layers[-1], settled[-1]))
# %% 5.1 wrong "has only reached"
pw.check("5.1", (paths, first[0], 0))
# %% 5.1 wrong "There is no layer"
pw.check("5.1", (paths, "conv1", 1))
# %% 5.2
pw.check("5.2", (paths, 0.85 / paths.temperature.value, 0.5 <= paths.temperature.value <= 1))
# %% 5.2 wrong "turn the fraction round"
pw.check("5.2", (paths, paths.temperature.value / 0.85, False))
# %% 5.2 wrong "divide 0.85"
pw.check("5.2", (paths, 1.0, True))
# %% 5.2 wrong "now compare the fitted T"
pw.check("5.2", (paths, 0.85 / paths.temperature.value, not 0.5 <= paths.temperature.value <= 1))
# %% 5.3
pw.check("5.3", (at_random, 0.5))
# %% 5.3 wrong "Not none at all"
pw.check("5.3", (at_random, 0.0))
# %% 5.3 wrong "divide by 100"
pw.check("5.3", (at_random, 50))
# %% 5.3 wrong "nothing but their shape"
pw.check("5.3", (at_random, 1.0))


# %% 5.4
def frozen_first_layer():
    network = pw.small_network(digits.side, 10, batch_norm=False, seed=0)
    network.conv1.requires_grad_(False)
    for epoch in pw.train(network, digits, epochs=5):
        yield epoch.network


pw.check("5.4", (frozen_first_layer, images))


# %% 5.4 wrong "still changes"
def nothing_frozen():
    network = pw.small_network(digits.side, 10, batch_norm=False, seed=0)
    for epoch in pw.train(network, digits, epochs=3):
        yield epoch.network


pw.check("5.4", (nothing_frozen, images))


# %% 5.4 wrong "yield epoch.network"
def yields_epochs():
    network = pw.small_network(digits.side, 10, batch_norm=False, seed=0)
    yield from pw.train(network, digits, epochs=1)


pw.check("5.4", (yields_epochs, images))


# %% 5.4 wrong "Nothing learns at all"
def all_frozen():
    network = pw.small_network(digits.side, 10, batch_norm=False, seed=0)
    for _ in range(3):
        yield network


pw.check("5.4", (all_frozen, images))
