"""Which shortcuts a run may take — bfloat16, drafted JPEGs — so that its key is known before anything is embedded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import torch

from headstart.extractors.cache import find_lost
from headstart.extractors.network import DeviceError, ForwardPass, has_fast_bf16
from headstart.extractors.spec import Decode, EmbeddingKey, Precision, Settings
from headstart.extractors.tuning.fidelity import LOWEST_COSINE, Fidelity, FidelityRecord
from headstart.extractors.tuning.first_images import N_COMPARED, FirstImages

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
    record = FidelityRecord.read(folder_of(wanted))
    if settings.decode == "auto" and not _settled(record.decoding) and len(first.whole):
        record = replace(record, decoding=first.compare_decoding(fast)).kept(folder_of(wanted))
    # Where rows were embedded before any image was there that shows a difference, it is too late to decide otherwise.
    begun = any(_has_rows(folder_of(replace(wanted, precision=precision))) for precision in get_args(Precision))
    refused = settings.decode == "auto" and not _accepted(record.decoding) and not begun
    decode: Decode = "full" if refused else wanted.decode
    if settings.precision == "auto" and wanted.precision == "bf16" and record.bf16 is None and len(first.whole):
        forward = ForwardPass(first.backbone, first.taps, device=first.device, precision="bf16", batch_size=N_COMPARED)
        record = replace(record, bf16=first.compare(forward, decode)).kept(folder_of(wanted))
    bf16 = wanted.precision == "bf16" and (settings.precision == "bf16" or _accepted(record.bf16))
    reasons = []
    if refused and record.decoding:
        reasons.append(f"JPEGs are decoded in full: {_FASTER[fast]}, {_distance(record.decoding)}")
    elif settings.decode == "auto" and record.decoding and not record.decoding.accepted:
        reasons.append(
            f"large JPEGs are {_FASTER[fast]} as those before, though {_distance(record.decoding)}; "
            "--decode full embeds all anew"
        )
    if wanted.precision == "bf16" and not bf16 and record.bf16:
        reasons.append(f"computed in float32: in bfloat16, {_distance(record.bf16)}")
    return Settled(replace(plain, decode=decode, precision="bf16" if bf16 else "fp32"), record, reasons)


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
