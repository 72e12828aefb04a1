# %% 7.1
def linearity(method):
    first, second = (pw.attribute(method, chelsea, name) for name in ("Egyptian cat", "golf ball"))
    both = pw.attribute(method, chelsea, pw.Difference("Egyptian cat", "golf ball"))
    return float((both - (first - second)).norm() / both.norm())


of_pullback, of_guided = linearity("pullback"), linearity("guided_backprop")
pw.check("7.1", (of_pullback, of_guided))
# %% 7.1 wrong "The two are swapped"
pw.check("7.1", (of_guided, of_pullback))
# %% 7.1 wrong "not p_A alone"
alone = pw.attribute("pullback", chelsea, "Egyptian cat")
both = pw.attribute("pullback", chelsea, pw.Difference("Egyptian cat", "golf ball"))
pw.check("7.1", (float((both - alone).norm() / both.norm()), of_guided))
# %% 7.1 wrong "should be about a half"
pw.check("7.1", (of_pullback, linearity("gradient")))


# %% 7.2
def with_random(module, name):
    result = copy.deepcopy(module)
    randomise(result.get_submodule(name), torch.Generator().manual_seed(0))
    return result


pw.check("7.2", with_random)


# %% 7.2 wrong "has changed; copy it first"
def in_place(module, name):
    randomise(module.get_submodule(name), torch.Generator().manual_seed(0))
    return module


pw.check("7.2", in_place)


# %% 7.2 wrong "copy.copy shares the weights"
def shallow(module, name):
    result = copy.copy(module)
    randomise(result.get_submodule(name), torch.Generator().manual_seed(0))
    return result


pw.check("7.2", shallow)


# %% 7.2 wrong "Other parts than the one named"
def everything(module, name):
    result = copy.deepcopy(module)
    randomise(result, torch.Generator().manual_seed(0))
    return result


pw.check("7.2", everything)
# %% 7.2 wrong "return the whole copy"
pw.check("7.2", lambda module, name: with_random(module, name).get_submodule(name))


# %% 7.3
def interval(differences):
    draws = np.random.default_rng(1).choice(differences, size=(10_000, len(differences)))
    low, high = np.percentile(draws.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


pw.check("7.3", interval)
# %% 7.3 wrong "percentiles of the differences themselves"
pw.check("7.3", lambda differences: np.percentile(differences, [2.5, 97.5]))


# %% 7.3 wrong "draw with replacement"
def shuffled_only(differences):
    rng = np.random.default_rng(1)
    means = [rng.permutation(differences).mean() for _ in range(1000)]
    return np.percentile(means, [2.5, 97.5])


pw.check("7.3", shuffled_only)


# %% 7.3 wrong "This is a 90 % interval"
def ninety(differences):
    draws = np.random.default_rng(1).choice(differences, size=(10_000, len(differences)))
    return np.percentile(draws.mean(axis=1), [5, 95])


pw.check("7.3", ninety)
# %% 7.3 wrong "by the root of n"
pw.check("7.3", lambda one: (one.mean() - 1.96 * one.std(), one.mean() + 1.96 * one.std()))


# %% 7.4
def my_heat(image):
    row = torch.linspace(-1, 1, image.shape[-1])
    bump = torch.exp(-(row**2))
    return edges(image) * bump * bump[:, None]


pw.check("7.4", trial(my_heat))
# %% 7.4 wrong "try the negative"
pw.check("7.4", trial(lambda image: -edges(image)))
# %% 7.4 wrong "does not leave out zero"
pw.check("7.4", trial(lambda image: my_heat(torch.ones(3, 224, 224)) + image.mean(0)))
# %% 7.4 wrong "Expected the differences"
pw.check("7.4", my_heat(images["coffee"]))
