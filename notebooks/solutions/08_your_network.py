# %% 8.1
def espresso(mean, std):
    wrapped = pw.Model(lite, mean=mean, std=std, categories=installed.categories)
    probabilities = pw.Session(wrapped, "coffee").logits.softmax(0)
    return float(probabilities[wrapped.class_index("espresso")])


half = (0.5, 0.5, 0.5)
imagenet_mean, imagenet_std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
right = espresso(half, half)
imagenet = espresso(imagenet_mean, imagenet_std)
as_bytes = espresso((0, 0, 0), (1 / 255, 1 / 255, 1 / 255))
pw.check("8.1", (right, imagenet, as_bytes))
# %% 8.1 wrong "The first two are swapped"
pw.check("8.1", (imagenet, right, as_bytes))
# %% 8.1 wrong "take the softmax"
pw.check("8.1", (100 * right, 100 * imagenet, 100 * as_bytes))
# %% 8.1 wrong "must be 1/255 and not 255"
pw.check("8.1", (right, imagenet, espresso((0, 0, 0), (1, 1, 1))))
# %% 8.1 wrong "The second probability equals the first"
pw.check("8.1", (right, right, as_bytes))
# %% 8.1 wrong "is it the network `trained`"
pw.check("8.1", (float(pw.Session(trained, "chelsea").logits.softmax(0).max()), imagenet, as_bytes))
# %% 8.2
b0 = pw.Model(timm.create_model("efficientnet_b0", pretrained=False))
held = pw.report(b0).held
pw.check("8.2", held)
# %% 8.2 wrong "its attribute `held`"
pw.check("8.2", pw.report(b0))
# %% 8.2 wrong "what IS softened"
pw.check("8.2", pw.report(b0).gates)
# %% 8.2 wrong "is it another network with"
other = pw.Model(timm.create_model("mobilenetv3_small_100", pretrained=False))
pw.check("8.2", pw.report(other).held)
# %% 8.2 wrong "the network with ReLU6"
pw.check("8.2", pw.report(trained).held)


# %% 8.3
class DigitNetOfModules(DigitNet):
    def __init__(self, width=32):
        super().__init__(width)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(self.relu1(self.bn1(self.conv1(x.mean(1, keepdim=True)))))
        x = self.relu2(self.bn2(self.conv2(x)))
        x = self.relu3(self.bn3(self.conv3(x)))
        return self.head(x.mean((2, 3)))


twin = DigitNetOfModules()
twin.load_state_dict(net.state_dict())
pw.check("8.3", (net, twin))
# %% 8.3 wrong "did you load the weights"
pw.check("8.3", (net, DigitNetOfModules()))
# %% 8.3 wrong "Both are the same object"
pw.check("8.3", (net, net))
# %% 8.3 wrong "has no nn.ReLU"
same_again = DigitNet()
same_again.load_state_dict(net.state_dict())
pw.check("8.3", (net, same_again))


# %% 8.3 wrong "two gates"
class DigitNetOfBoth(DigitNet):
    def __init__(self, width=32):
        super().__init__(width)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = F.relu(self.relu(self.bn1(self.conv1(x.mean(1, keepdim=True)))))
        x = F.relu(self.bn2(self.conv2(F.max_pool2d(x, 2))))
        x = F.relu(self.bn3(self.conv3(x)))
        return self.head(x.mean((2, 3)))


both = DigitNetOfBoth()
both.load_state_dict(net.state_dict())
pw.check("8.3", (net, both))
# %% 8.3 wrong "the other way round"
pw.check("8.3", (twin, net))


# %% 8.4
def state(module):
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {
        "tensors": [(name, one.tolist(), one.requires_grad) for name, one in tensors],
        "parts": [
            (name, part.training, len(part._forward_hooks)) for name, part in module.named_modules()
        ],
    }


pw.check("8.4", state)
# %% 8.4 wrong "a copy"
pw.check("8.4", lambda module: list(map(id, module.parameters())))
# %% 8.4 wrong "no single truth value"
pw.check("8.4", lambda module: [one.clone() for one in module.parameters()])
# %% 8.4 wrong "look at buffers"
pw.check("8.4", lambda module: [one.tolist() for one in module.parameters()])
# %% 8.4 wrong "requires a gradient"
pw.check("8.4", lambda module: [one.tolist() for one in module.state_dict().values()])
# %% 8.4 wrong "Expected the function"
pw.check("8.4", state(net))
