"""Which shortcuts a run may take — bfloat16, drafted JPEGs — so that its key is known before anything is embedded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from extractors.fidelity import LOWEST_COSINE, Fidelity, FidelityRecord
from extractors.first_images import N_COMPARED, FirstImages
from extractors.forward import ForwardPass
from extractors.key import EmbeddingKey
from extractors.precision import has_fast_bf16
from extractors.settings import Settings


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
    """
    wanted = replace(
        plain,
        decode="full" if settings.decode == "full" else "draft",
        precision="bf16" if _wants_bf16(settings, first.device) else "fp32",
    )
    record = FidelityRecord.read(folder_of(wanted))
    if settings.decode == "auto" and record.draft is None and len(first.whole):
        record = replace(record, draft=first.compare_drafts())
        record.write(folder_of(wanted))
    draft = settings.decode == "draft" or (settings.decode == "auto" and _accepted(record.draft))
    if settings.precision == "auto" and wanted.precision == "bf16" and record.features is None and len(first.whole):
        forward = ForwardPass(first.backbone, first.taps, device=first.device, precision="bf16", batch_size=N_COMPARED)
        record = replace(record, features=first.compare(forward, draft=draft))
        record.write(folder_of(wanted))
    bf16 = wanted.precision == "bf16" and (settings.precision == "bf16" or _accepted(record.features))
    reasons = []
    if wanted.decode == "draft" and not draft and record.draft:
        reasons.append(f"JPEGs are decoded in full: drafted, {_distance(record.draft)}")
    if wanted.precision == "bf16" and not bf16 and record.features:
        reasons.append(f"computed in float32: in bfloat16, {_distance(record.features)}")
    key = replace(plain, decode="draft" if draft else "full", precision="bf16" if bf16 else "fp32")
    return Settled(key, record, reasons)


def _distance(fidelity: Fidelity) -> str:
    return f"the cosine to plain float32 falls to {fidelity.cosine:.4f}, under {LOWEST_COSINE}"


def _wants_bf16(settings: Settings, device: torch.device) -> bool:
    return settings.precision == "bf16" or (settings.precision == "auto" and has_fast_bf16(device))


def _accepted(fidelity: Fidelity | None) -> bool:
    return fidelity is not None and fidelity.accepted
