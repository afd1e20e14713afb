"""Taps: read named layers of a backbone out in one forward pass, and pool what they put out to one row per image."""

import difflib
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import nn

from headstart.extractors.backbones import Backbone, MissingHead
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.layouts import is_channels_last, takes_channels_last
from headstart.extractors.spec import PENULTIMATE, POOLINGS, Tap

__all__ = ["PENULTIMATE", "POOLINGS", "Tap", "TapReader", "feature_sizes", "pool"]


class _AllKept(Exception):  # noqa: N818 - a signal from inside a network, not an error
    """The deepest tap was read; what follows in the network would be computed for nothing."""


class TapReader:
    """Reads taps out of a backbone, all of them in one forward pass.

    Parameters
    ----------
    backbone : Backbone
        Its module may be moved to another device or dtype at any time; it keeps hooks until `close`.
    taps : sequence of Tap
        At least one.

    Raises
    ------
    BackboneError
        A layer is unknown, or cannot be read because the checkpoint has no weights for it.
    """

    def __init__(self, backbone: Backbone, taps: Sequence[Tap]) -> None:
        self._module = backbone.module
        self._backbone = backbone
        self._taps = tuple(dict.fromkeys(taps))
        self._found: dict[str, torch.Tensor] = {}
        self._gradients = False
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._n_kept, self._n_to_keep = 0, -1
        if not self._taps:
            raise BackboneError(f"{backbone.name}: no tap is given; {PENULTIMATE!r} is the usual one")
        layers = dict(backbone.module.named_modules())
        for tap in self._taps:
            _check_layer(tap, backbone, layers)
        for tap in self._taps:
            self._watch(tap, layers)

    def __call__(self, images: torch.Tensor, *, gradients: bool = False) -> dict[str, torch.Tensor]:
        """Run the backbone once.

        Parameters
        ----------
        images : torch.Tensor
            (n_images, 3, H, W), normalised, on the module's device and in its dtype.
        gradients : bool
            What is returned can be followed back to the images, where those ask for it.

        Returns
        -------
        dict of str to torch.Tensor
            By `str(tap)`, in the order of the taps: (n_images, n_features), or of a map (n_images, …), in the dtype in
            which the layer gave it.

        Raises
        ------
        BackboneError
            A layer took no part in the forward pass, or its output has not one row per image or cannot be pooled.
        """
        self._found.clear()
        self._gradients = gradients
        with torch.set_grad_enabled(gradients):
            if torch.compiler.is_compiling():  # the compiler leaves out by itself what no tap needs
                self._keep_output(self._module(images))
            else:
                self._run(images)
        return {str(tap): self._take(tap, len(images)) for tap in self._taps}

    def _run(self, images: torch.Tensor) -> None:
        """Run the network as far as the deepest tap; a first whole pass tells after how many readings that is."""
        self._n_kept = 0
        try:
            output = self._module(images)
        except _AllKept:
            return
        self._keep_output(output)
        self._n_to_keep = self._n_kept

    def _keep_output(self, output: Any) -> None:
        for tap in self._taps:
            if tap.layer == PENULTIMATE and self._backbone.head is None:
                self._keep(tap, output, channels_last=self._backbone.channels_last)
                if not torch.compiler.is_compiling():
                    self._n_kept += 1

    def _keep_and_stop(self, tap: Tap, output: Any, *, channels_last: bool | None) -> None:
        self._keep(tap, output, channels_last=channels_last)
        if not torch.compiler.is_compiling():
            self._n_kept += 1
            if self._n_kept == self._n_to_keep:
                raise _AllKept

    def _take(self, tap: Tap, n_images: int) -> torch.Tensor:
        features = self._found.pop(str(tap), None)
        layer = f"{self._backbone.name}: layer {tap.layer!r}"
        if features is None:
            raise BackboneError(
                f"{layer} is never called by itself (a layer around it uses its weights, or it only serves training), "
                "so it has no output to read; tap the layer around it"
            )
        if len(features) != n_images:
            raise BackboneError(
                f"{layer} puts out {len(features)} rows for {n_images} images (it works on windows or single patches); "
                "tap the block around it"
            )
        return features

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the hooks off the module."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _watch(self, tap: Tap, layers: dict[str, nn.Module]) -> None:
        if tap.layer != PENULTIMATE:
            keep = partial(self._keep_and_stop, tap, channels_last=is_channels_last(self._backbone, tap.layer))
            self._handles.append(layers[tap.layer].register_forward_hook(lambda _module, _inputs, output: keep(output)))
        elif self._backbone.head is not None:
            head = layers[self._backbone.head]
            keep = partial(self._keep_and_stop, tap, channels_last=takes_channels_last(head))
            self._handles.append(head.register_forward_pre_hook(lambda _module, inputs: keep(inputs)))

    def _keep(self, tap: Tap, output: Any, *, channels_last: bool | None) -> None:
        # Pooled and copied at once: the next layer may work in place (ReLU after a batch norm) and change the tensor.
        tensor = _first_tensor(output, tap, self._backbone)
        pooled = pool(tensor, tap, self._backbone, channels_last=channels_last)
        kept = pooled if self._gradients else pooled.detach()
        self._found[str(tap)] = kept.clone(memory_format=torch.contiguous_format)


def pool(output: torch.Tensor, tap: Tap, backbone: Backbone, *, channels_last: bool | None) -> torch.Tensor:
    """Make one row per image out of a layer's output; a map stays as it is.

    Parameters
    ----------
    output : torch.Tensor
        (n, n_features), tokens (n, n_tokens, n_features), or a map (n, C, H, W), (n, H, W, C) with `channels_last`.
    tap, backbone : Tap, Backbone
        The pooling, and the prefix tokens, which `avg` and `max` leave out.
    channels_last : bool or None
        See `output`; None where it is not known, so that only `flatten` is safe.

    Raises
    ------
    BackboneError
        The pooling does not go with the shape.
    """
    if tap.pooling == "map":
        return output
    has_class_token = backbone.prefix_tokens > 0 and backbone.class_token
    layer = f"{backbone.name}: layer {tap.layer!r} puts out {tuple(output.shape)}"
    if tap.pooling == "cls" or (tap.pooling == "auto" and output.ndim == 3 and has_class_token):
        if output.ndim != 3 or not has_class_token:
            raise BackboneError(
                f"{layer} and the backbone has {'a' if has_class_token else 'no'} class token; 'cls' needs (n_images, "
                "n_tokens, n_features) with one: use 'avg' or 'flatten'"
            )
        return output[:, 0]
    if output.ndim == 2 or (tap.pooling == "flatten" and output.ndim > 2):
        return output.flatten(1)
    if output.ndim not in {3, 4}:
        raise BackboneError(f"{layer}; {tap.pooling!r} takes 2 to 4 axes")
    if output.ndim == 4 and channels_last is None:
        raise BackboneError(
            f"{layer} inside a block that moves its channels about, so which axis holds them cannot be told; tap the "
            "block around it, or use 'flatten'"
        )
    tokens = output[:, backbone.prefix_tokens :] if output.ndim == 3 else output
    over = (1,) if output.ndim == 3 else (1, 2) if channels_last else (2, 3)
    return tokens.amax(dim=over) if tap.pooling == "max" else tokens.mean(dim=over)


def feature_sizes(backbone: Backbone, taps: Sequence[Tap]) -> dict[str, tuple[int, ...]]:
    """Return each tap's shape for one image, by `str(tap)`, from a forward pass of one black image.

    Raises
    ------
    BackboneError
        As `TapReader`.
    """
    first = next(backbone.module.parameters(), torch.empty(0))
    image = torch.zeros(1, 3, *backbone.preprocessing.crop, device=first.device, dtype=first.dtype)
    with TapReader(backbone, taps) as read:
        return {key: tuple(features.shape[1:]) for key, features in read(image).items()}


def _check_layer(tap: Tap, backbone: Backbone, layers: dict[str, nn.Module]) -> None:
    if tap.layer == PENULTIMATE:
        return
    if tap.layer not in layers:
        nearest = difflib.get_close_matches(tap.layer, [PENULTIMATE, *filter(None, layers)], n=3, cutoff=0.4)
        raise BackboneError(
            f"{backbone.name} has no layer {tap.layer!r}. Nearest: {', '.join(nearest) or ', '.join([*layers][1:4])}. "
            f"{PENULTIMATE!r} is what its classifier takes"
        )
    if isinstance(layers[tap.layer], MissingHead):
        raise BackboneError(
            f"{backbone.name}: {backbone.weights_name} holds no classifier, so {tap.layer!r} cannot be read"
        )


def _first_tensor(output: Any, tap: Tap, backbone: Backbone) -> torch.Tensor:
    while isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, torch.Tensor):
        raise BackboneError(
            f"{backbone.name}: layer {tap.layer!r} puts out a {type(output).__name__}, expected a tensor; tap a layer "
            "inside it"
        )
    return output
