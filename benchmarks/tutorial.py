"""The loop of the tutorials, which `bench_extract.py` holds `headstart extract` against."""

import os
from pathlib import Path


def tutorial_loop(images: Path, backbone: str, out: Path, weights: str = "none") -> None:
    """Embed as the tutorials do."""
    import torch
    import torchvision
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    torch.manual_seed(0)
    model = torchvision.models.get_model(backbone)
    if weights != "none":
        model.load_state_dict(torch.load(weights, weights_only=True))
    head = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    model.set_submodule(head, nn.Identity())
    model.eval()
    published = torchvision.models.get_model_weights(backbone)
    # A file is prepared for as the first weights of its network, the published ones as the best, which are the default.
    transform = (published.DEFAULT if weights == "none" else next(iter(published))).transforms()
    loader = DataLoader(ImageFolder(str(images), transform=transform), batch_size=32, num_workers=os.cpu_count() or 1)
    features, labels = [], []
    with torch.no_grad():
        for batch, classes in loader:
            features.append(model(batch))
            labels.append(classes)
    torch.save({"features": torch.cat(features), "labels": torch.cat(labels)}, out)
