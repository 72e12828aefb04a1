# %% 3.1
class SoftReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, temperature):
        ctx.save_for_backward(z)
        ctx.temperature = temperature
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        (z,) = ctx.saved_tensors
        return grad * torch.sigmoid(z / ctx.temperature), None


pw.check("3.1", SoftReLU)
# %% 3.1 wrong "still the hard one"
pw.check("3.1", HardReLU)


# %% 3.1 wrong "one gradient for each argument"
class OneGradient(SoftReLU):
    @staticmethod
    def backward(ctx, grad):
        (z,) = ctx.saved_tensors
        return grad * torch.sigmoid(z / ctx.temperature)


pw.check("3.1", OneGradient)


# %% 3.1 wrong "it sees the output"
class OutputKept(SoftReLU):
    @staticmethod
    def forward(ctx, z, temperature):
        ctx.temperature = temperature
        y = z.clamp(min=0)
        ctx.save_for_backward(y)
        return y


pw.check("3.1", OutputKept)


# %% 3.1 wrong "forward pass is not ReLU's"
class SoftForward(SoftReLU):
    @staticmethod
    def forward(ctx, z, temperature):
        SoftReLU.forward(ctx, z, temperature)
        return z * torch.sigmoid(z / temperature)


pw.check("3.1", SoftForward)
# %% 3.1 wrong "The answer is a class"
pw.check("3.1", SoftReLU.apply)


# %% 3.2
def share(window, grad, temperature):
    return grad * torch.softmax(window.flatten() / temperature, 0).view(2, 2)


pw.check("3.2", share)
# %% 3.2 wrong "Each row is shared for itself"
pw.check("3.2", lambda window, grad, temperature: grad * torch.softmax(window / temperature, -1))


# %% 3.2 wrong "overflows"
def naive(window, grad, temperature):
    weights = torch.exp(window / temperature)
    return grad * weights / weights.sum()


pw.check("3.2", naive)
# %% 3.2 wrong "multiply them by grad"
pw.check("3.2", lambda window, grad, temperature: share(window, 1.0, temperature))


# %% 3.3
class SoftBothWays(nn.Module):
    def __init__(self, temperature, largest):
        super().__init__()
        self.temperature, self.largest = temperature, largest

    def forward(self, z):
        soft = self.temperature * nn.functional.softplus(z / self.temperature)
        return soft.clamp(max=self.largest)


def espresso_with(part):
    soft = replaced(network, nn.ReLU6, lambda owner: part)
    with torch.no_grad():
        return float(soft(coffee[None])[0].softmax(0)[espresso])


probability = espresso_with(SoftBothWays(0.3, 6))
pw.check("3.3", probability)
# %% 3.3 wrong "not cut off at 6"
pw.check("3.3", espresso_with(SoftBothWays(0.3, 1e9)))


# %% 3.3 wrong "a SiLU"
class SiLU6(nn.Module):
    def forward(self, z):
        return (z * torch.sigmoid(z / 0.3)).clamp(max=6)


pw.check("3.3", espresso_with(SiLU6()))
# %% 3.3 wrong "nothing was replaced"
with torch.no_grad():
    unchanged = network(coffee[None])[0].softmax(0)[espresso]
pw.check("3.3", unchanged)
# %% 3.3 wrong "lost everything"
pw.check("3.3", espresso_with(nn.Softplus(beta=0.3)))
# %% 3.4
pulled = digit_session.pullback(8, pw.Softening(1e6, units="absolute"))
factor = float(pulled.norm() / linear_gradient.norm())
pw.check("3.4", factor)
# %% 3.4 wrong "more than one"
pw.check("3.4", 0.5)
# %% 3.4 wrong "3 gates on each path"
pw.check("3.4", 1 / 8)
# %% 3.4 wrong "is the inverse"
pw.check("3.4", linear_gradient.norm() / pulled.norm())
# %% 3.4 wrong "no power of one half"
pw.check("3.4", float(ours.norm() / linear_gradient.norm()))
