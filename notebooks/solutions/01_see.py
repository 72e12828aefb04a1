# %% 1.1
temperature = next(
    t
    for t in (0.15, 0.16, 0.17, 0.19, 0.21)
    if cosine(explorer.session.pullback(softening=pw.Softening.relative(t)), plain) < 0.5
)
pw.check("1.1", temperature)
# %% 1.1 wrong "plain gradient itself"
pw.check("1.1", 0.0)
# %% 1.1 wrong "go back to the left"
pw.check("1.1", 0.85)
# %% 1.1 wrong "go on to the right"
pw.check("1.1", 0.05)
# %% 1.2
pw.check("1.2", "plastic bag")
# %% 1.2 wrong "is an animal"
pw.check("1.2", "tabby")
# %% 1.2 wrong "try another thing"
pw.check("1.2", "espresso")
# %% 1.2 wrong "did you mean golf ball"
pw.check("1.2", "golf bat")
# %% 1.3
hidden.channel = 218
answers = hidden.session.activations(hidden.layer)[hidden.channel]
hidden.position = divmod(int(answers.argmax()), 14)
pw.check("1.3", hidden)
# %% 1.3 wrong "Row and column are exchanged"
hidden.position = hidden.position[::-1]
pw.check("1.3", hidden)
# %% 1.3 wrong "No place is chosen"
hidden.position = None
pw.check("1.3", hidden)
# %% 1.3 wrong "brightest spot"
hidden.position = (0, 0)
pw.check("1.3", hidden)
# %% 1.3 wrong "write neuron = hidden"
pw.check("1.3", (hidden.channel, hidden.position))
