"""Measurements and advice in sentences, with the numbers in them."""

from collections.abc import Mapping, Sequence

from headstart.heads.report.transfer import Finding
from headstart.heads.transfer.advice import Action, Advice, Growth, Lead, Measured, Size, Transfer
from headstart.heads.transfer.likeness import Likeness

TITLES: Mapping[Action, str] = {
    "linear-last": "Fit a linear head on the last layer.",
    "linear-earlier": "Fit a linear head on an earlier layer.",
    "finetune-tail": "Fine-tune the last layers, then more of them.",
    "retrain": "Train all layers further, or a network from scratch.",
}
_SHORT: Mapping[Action, str] = {
    "linear-last": "a linear head on the last layer",
    "linear-earlier": "a linear head on an earlier layer",
    "finetune-tail": "fine-tuning the last layers",
    "retrain": "training all layers",
}
_TRANSFER: Mapping[Transfer, str] = {
    "positive": "What the network learned helps: its features tell more than every control does.",
    "unproven": "Warning: negative transfer is not ruled out. On {} images, what the network learned tells no more "
    "than {}, beyond chance.",
    "negative": "Warning: negative transfer. On {} images, what the network learned tells less than {}.",
    "no control": "Whether what the network learned helps is not known: there is no control to compare with.",
}
_LIKENESS = {
    "alike": "cannot be told from the source's by more than chance",
    "similar": "differ from the source's, but no more than its own classes do from each other",
    "different": "are farther from the source's than its own classes are from each other",
    "apart": "differ from the source's by more than chance; how far its own classes are apart is not known",
}


def title_of(advice: Advice, best: str, earlier: Lead | None) -> str:
    """Return the advice in a sentence, with the layer where one was measured."""
    if advice.action == "linear-earlier" and earlier is not None:
        return f"Fit a linear head on an earlier layer: {earlier.first}."
    return f"Fit a linear head on the last layer: {best}." if advice.action == "linear-last" else TITLES[advice.action]


def transfer_of(advice: Advice, controls: Sequence[Lead], n_images: int) -> str:
    """Return in a sentence whether what the network learned helps."""
    negative = advice.transfer == "negative"
    equal = [one.second for one in controls if one.beyond_chance == negative and (one.value < 0 or not negative)]
    return _TRANSFER[advice.transfer].format(n_images, " and ".join(equal))


def find_all(
    measured: Measured, advice: Advice, growth: Growth | None, likeness: Likeness | None, rarest: int
) -> list[Finding]:
    """Return the measurements in sentences, in the order in which the advice follows from them."""
    return [
        _of_size(measured, advice.size, rarest),
        _of_growth(growth),
        _of_layers(measured.earlier),
        *([_of_likeness(likeness)] if likeness else []),
        *map(_of_control, measured.controls),
        _of_errors(measured),
        Finding(about="matrix", says=_of_matrix(advice)),
    ]


def _of_size(measured: Measured, size: Size, rarest: int) -> Finding:
    n, how = f"{measured.images_per_class:g}", "lots" if size == "lots" else "little"
    return Finding(
        about="size",
        says=f"{n} labelled images a class to fit on, {rarest} of the rarest: {how}, by the line of "
        f"{measured.enough} (--enough).",
    )


def _of_growth(growth: Growth | None) -> Finding:
    if growth is None:
        return Finding(about="labels", says="Too few images to say what more labels would bring.")
    first, last = growth.points[-2].images_per_class, growth.points[-1].images_per_class
    says = f"From {first:.3g} to {last:.3g} images a class the score changed by {_points(growth)}: "
    more = (
        "more labels go on helping."
        if growth.climbs
        else "no more than chance, and twice as many labels may bring no more."
    )
    return Finding(about="labels", says=says + more)


def _of_layers(earlier: Lead | None) -> Finding:
    if earlier is None:
        return Finding(
            about="layers", says="Only the last layer is in the cache: an earlier one may tell more, or not."
        )
    first, last = map(_share, earlier.scores)
    return Finding(
        about="layers",
        says=f"The last layer, {earlier.second}, tells {last} of the images, and the best earlier one, "
        f"{earlier.first}, {first}: {_apart(earlier)}.",
    )


def _of_likeness(likeness: Likeness) -> Finding:
    numbers = ", ".join(
        f"{one.name} {one.value:.3g} (chance {one.null_high:.2g}"
        + (f", own classes {one.between_high:.3g})" if one.between_high is not None else ")")
        for one in likeness.measures
    )
    return Finding(about="likeness", says=f"The images {_LIKENESS[likeness.verdict]}: {numbers}.")


def _of_control(control: Lead) -> Finding:
    first, second = map(_share, control.scores)
    return Finding(
        about="control",
        says=f"{control.first} tells {first}, and the control, {control.second}, {second}: {_apart(control)}.",
    )


def _of_errors(measured: Measured) -> Finding:
    return Finding(
        about="errors",
        says=f"The best layer tells {measured.n_wrong} of {measured.n_images} images wrong: that is all that training "
        "layers could mend.",
    )


def _of_matrix(advice: Advice) -> str:
    near = "unlike" if advice.near == "different" else "like"
    data = "lots of data" if advice.size == "lots" else "little data"
    by = {
        "source": f"{near} the source by their distances",
        "layers": f"{near} the source, as the curve over layers has it",
        "controls": "unlike the source, as the controls have it",
        None: "like the source, for nothing here says otherwise",
    }[advice.near_by]
    says = f"For {data}, {by}, the matrix has {_SHORT[advice.cell]}."
    if advice.overruled == "layers":
        says += f" What the layers tell of these images goes before it: {_SHORT[advice.action]}."
    if advice.overruled == "room":
        says += f" Half of the few errors less would not be more than chance: {_SHORT[advice.action]} does."
    return says


def _apart(lead: Lead) -> str:
    """Return how far the first is from the second: ``4.2 points more [1.1, 7.3], p .003``."""
    sign = -1 if lead.value < 0 else 1
    low, high = sorted((100 * sign * lead.low, 100 * sign * lead.high))
    apart = f"{100 * abs(lead.value):.1f} points {'less' if sign < 0 else 'more'} [{low:.1f}, {high:.1f}]"
    return f"{apart}, p {_p(lead.p_value)}" + ("" if lead.beyond_chance else ", no more than chance")


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(growth: Growth) -> str:
    return f"{100 * growth.gain:+.1f} points [{100 * growth.low:+.1f}, {100 * growth.high:+.1f}]"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"
