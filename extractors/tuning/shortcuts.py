"""Which shortcuts a run may take — bfloat16, drafted JPEGs — so that its key is known before anything is embedded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import torch

from headstart.extractors.cache import find_lost
from headstart.extractors.network import DeviceError, ForwardPass, has_fast_bf16
from headstart.extractors.spec import Decode, EmbeddingKey, Mixed, Precision, Settings, StoredDtype
from headstart.extractors.tuning.fidelity import LOWEST_COSINE, Fidelity, FidelityRecord, MixedFidelity
from headstart.extractors.tuning.first_images import N_COMPARED, FirstImages
from headstart.extractors.tuning.rounding import rounded_layers, sets_in_float32

_FASTER = {"draft": "drafted", "nvjpeg": "decoded on the GPU"}


class Settled(NamedTuple):
    """A key, what was measured for it by this run or an earlier one, and why a shortcut was not taken."""

    key: EmbeddingKey
    record: FidelityRecord
    reasons: list[str]


def settle_key(
    plain: EmbeddingKey, settings: Settings, first: FirstImages, folder_of: Callable[[EmbeddingKey], Path]
) -> Settled:
    """Give a key in float32 with full decoding the precision and the decoding that the settings ask for.

    What is ``auto`` is taken where the first images show that it keeps the features; what was measured is kept in the
    folder of the key with all shortcuts, so that the next run decides alike.

    Raises
    ------
    DeviceError
        The device cannot decode.
    """
    if settings.exact:  # no shortcut is tried
        settings = replace(
            settings,
            decode="full" if settings.decode == "auto" else settings.decode,
            precision="fp32" if settings.precision == "auto" else settings.precision,
        )
    fast: Decode = "nvjpeg" if first.device.type == "cuda" else "draft"
    wanted = replace(
        plain,
        decode=fast if settings.decode == "auto" else settings.decode,
        precision="bf16" if _wants_bf16(settings, first.device) else "fp32",
    )
    if wanted.decode == "nvjpeg" and first.device.type != "cuda":
        raise DeviceError(f"nvjpeg decodes on a CUDA device, and this runs on {first.device}; use --decode auto")
    record = _readable(folder_of(wanted), first)
    if settings.decode == "auto" and not _settled(record.decoding) and len(first.whole):
        record = replace(record, decoding=first.compare_decoding(fast)).kept(folder_of(wanted))
    # Where rows were embedded before any image was there that shows a difference, it is too late to decide otherwise.
    ways = [replace(wanted, precision="fp32", in_float32=()), wanted, _mixed(wanted, record)]
    begun = any(_has_rows(folder_of(key)) for key in ways)
    refused = settings.decode == "auto" and not _accepted(record.decoding) and not begun
    decode: Decode = "full" if refused else wanted.decode
    key = replace(wanted, decode=decode)
    reasons = []
    if refused and record.decoding:
        reasons.append(f"JPEGs are decoded in full: {_FASTER[fast]}, {_distance(record.decoding)}")
    elif settings.decode == "auto" and record.decoding and not record.decoding.accepted:
        reasons.append(
            f"large JPEGs are {_FASTER[fast]} as those before, though {_distance(record.decoding)}; "
            "--decode full embeds all anew"
        )
    if settings.precision == "auto" and wanted.precision == "bf16":
        dtypes = (key.dtype,) if settings.dtype else get_args(StoredDtype)  # of maps it is settled last
        plain_keys = [replace(key, precision="fp32", dtype=dtype) for dtype in dtypes]
        begun = any(_has_rows(folder_of(one)) for one in plain_keys)
        record = _measured(record, first, decode, folder_of(wanted), begun=begun)
        key, why = _as_measured(key, record, begun=begun)
        reasons += why
    return Settled(key, record, reasons)


def _measured(
    record: FidelityRecord, first: FirstImages, decode: Decode, folder: Path, *, begun: bool
) -> FidelityRecord:
    """Measure bfloat16 where no run has: as a whole, and with the worst layers in float32 where that is too far off.

    Rows in float32 that are there already stay in use, and nothing more is tried.
    """
    if not len(first.whole):
        return record
    if record.bf16 is None:
        record = replace(record, bf16=first.compare(_in("bf16", first), decode)).kept(folder)
    if record.bf16 and not record.bf16.accepted and record.mixed is None and not begun:
        record = replace(record, mixed=_find_mixed(first, decode, record.bf16)).kept(folder)
    return record


def _find_mixed(first: FirstImages, decode: Decode, whole: Fidelity) -> MixedFidelity:
    """Put the worst layers in float32, a few choices at most, until the first images are near enough."""
    alone = ForwardPass(first.backbone, first.taps, device=first.device, precision="fp32", batch_size=1)
    try:
        layers = rounded_layers(alone, first.whole)
    except RuntimeError:  # its own code cuts gradients off, or works in place where they would be needed
        return MixedFidelity({}, 0)
    for chosen in sets_in_float32(layers, 1 - whole.cosine):
        found = first.compare(_in(Mixed(chosen), first), decode)
        if found.accepted:
            return MixedFidelity(found.taps, found.n_images, chosen)
    return MixedFidelity({}, 0)


def _in(precision: Precision | Mixed, first: FirstImages) -> ForwardPass:
    return ForwardPass(first.backbone, first.taps, device=first.device, precision=precision, batch_size=N_COMPARED)


def _as_measured(key: EmbeddingKey, record: FidelityRecord, *, begun: bool) -> tuple[EmbeddingKey, list[str]]:
    """Give a key in bfloat16 the precision that was found to be near enough, and say why it is another."""
    if record.bf16 is None or record.bf16.accepted:
        return replace(key, precision="bf16" if record.bf16 else "fp32"), []
    far = f"in bfloat16, {_distance(record.bf16)}"
    if _accepted(record.mixed):
        mixed = _mixed(key, record)
        return mixed, [f"computed in {mixed.computed_in} ({', '.join(mixed.in_float32)}): {far}"]
    as_before = ", as the rows before" if begun and record.mixed is None else ""
    return replace(key, precision="fp32"), [f"computed in float32{as_before}: {far}"]


def _mixed(key: EmbeddingKey, record: FidelityRecord) -> EmbeddingKey:
    return replace(key, in_float32=record.mixed.layers if record.mixed else ())


def _readable(folder: Path, first: FirstImages) -> FidelityRecord:
    """Read what was measured, without what names layers that the network has not: that is measured again."""
    record, layers = FidelityRecord.read(folder), dict(first.backbone.module.named_modules())
    if record.mixed and not layers.keys() >= set(record.mixed.layers):
        record = replace(record, mixed=None)
        record.write(folder)
    return record


def settle_dtype(
    key: EmbeddingKey, first: FirstImages, folder_of: Callable[[EmbeddingKey], Path]
) -> tuple[EmbeddingKey, str]:
    """Give a key of maps, which are large, the dtype that they are stored in, and say why.

    float16 is taken where the first images lose no more than its rounding; rows that are there already
    decide it.
    """
    half = replace(key, dtype="float16")
    maps = [str(tap) for tap in first.taps if tap.is_map]
    begun = next((one for one in (half, key) if _has_rows(folder_of(one))), None)
    if begun:
        return begun, f"{', '.join(maps)}: stored in {begun.dtype}, as the rows before"
    with np.errstate(over="ignore"):  # what becomes infinite is found to be lost
        lost = [tap for tap in maps if len(find_lost(first.reference[tap], first.reference[tap].astype(np.float16)))]
    if lost:
        return key, f"{', '.join(lost)}: stored in float32, for float16 would lose more than its rounding"
    return half, f"{', '.join(maps)}: stored in float16, which holds the first images but for its rounding"


def _distance(fidelity: Fidelity) -> str:
    return f"the cosine to plain float32 falls to {fidelity.cosine:.4f}, under {LOWEST_COSINE}"


def _wants_bf16(settings: Settings, device: torch.device) -> bool:
    return settings.precision == "bf16" or (settings.precision == "auto" and has_fast_bf16(device))


def _accepted(fidelity: Fidelity | None) -> bool:
    return fidelity is not None and fidelity.accepted


def _settled(fidelity: Fidelity | None) -> bool:
    """Tell whether a comparison shows anything: no image may have been large enough."""
    return fidelity is not None and fidelity.n_images > 0


def _has_rows(folder: Path) -> bool:
    return any(folder.glob("shard-*.h5"))
