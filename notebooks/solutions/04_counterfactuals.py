# %% 4.1
def climb(image: Tensor, target: str, softening: pw.Softening, steps: int, size: float) -> Tensor:
    x = image
    for _ in range(steps):
        p = pw.pullback(model, x, target, softening)
        x = (x + size * p / p.norm()).clamp(-1, 1)
    return x


pw.check("4.1", climb)


# %% 4.1 wrong "divide p by its L2 length"
def climb(image: Tensor, target: str, softening: pw.Softening, steps: int, size: float) -> Tensor:
    x = image
    for _ in range(steps):
        p = pw.pullback(model, x, target, softening)
        x = (x + size * p).clamp(-1, 1)
    return x


pw.check("4.1", climb)


# %% 4.1 wrong "what comes back is p alone"
def climb(image: Tensor, target: str, softening: pw.Softening, steps: int, size: float) -> Tensor:
    x = image
    for _ in range(steps):
        p = pw.pullback(model, x, target, softening)
        x = (size * p / p.norm()).clamp(-1, 1)
    return x


pw.check("4.1", climb)


# %% 4.1 wrong "clip the image"
def climb(image: Tensor, target: str, softening: pw.Softening, steps: int, size: float) -> Tensor:
    x = image
    for _ in range(steps):
        p = pw.pullback(model, x.clamp(-1, 1), target, softening)
        x = x + size * p / p.norm()
    return x


pw.check("4.1", climb)


# %% 4.1 wrong "ask for the pullback at x"
def climb(image: Tensor, target: str, softening: pw.Softening, steps: int, size: float) -> Tensor:
    x = image
    for _ in range(steps):
        p = pw.pullback(model, image, target, softening)
        x = (x + size * p / p.norm()).clamp(-1, 1)
    return x


pw.check("4.1", climb)


# %% 4.2
def distance(softening: pw.Softening) -> float:
    walk = coffee.ascend("golf ball", softening, steps=40, step_size=0.5, radius=None)
    return next(float(step.difference.norm()) for step in walk if step.probability > 0.5)


distances = distance(hard), distance(soft)

pw.check("4.2", distances)
# %% 4.2 wrong "the plain gradient comes first"
pw.check("4.2", (distance(soft), distance(hard)))


# %% 4.2 wrong "stop at the first"
def far(softening: pw.Softening) -> float:
    *_, last = coffee.ascend("golf ball", softening, steps=40, step_size=0.5, radius=None)
    return float(last.difference.norm())


pw.check("4.2", (far(hard), far(soft)))
# %% 4.2 wrong "is step_size 0.5"
pw.check("4.2", [float(step.difference.norm()) for step in walks.values()])
# %% 4.3
test = lambda image: image.roll((3, 3), (1, 2))  # noqa: E731

pw.check("4.3", test)
# %% 4.3 wrong "leaves the image as it is"
pw.check("4.3", lambda image: image)
# %% 4.3 wrong "Both survive"
pw.check("4.3", lambda image: 0.8 * image)
# %% 4.3 wrong "do less"
pw.check("4.3", lambda image: torch.nn.functional.avg_pool2d(image, 9, stride=1, padding=4))
# %% 4.4
pw.check("4.4", "c")
# %% 4.4 wrong "same outlines"
pw.check("4.4", "a")
# %% 4.4 wrong "No real golf ball"
pw.check("4.4", "b")
# %% 4.4 wrong "still a cup"
pw.check("4.4", "d")
