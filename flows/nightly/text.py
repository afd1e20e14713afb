"""A night in words: one page for Prefect's UI, one screenful for a terminal."""

from headstart.flows.nightly.drift import ALPHA, NightDrift
from headstart.flows.nightly.score import NightScore, ScoreChange
from headstart.flows.nightly.summary import NightSummary
from headstart.flows.output import as_markdown, nearby
from headstart.heads.report import ScoreRow, interval_text, score_text
from headstart.heads.scoring import find_metric, metric_name

_KINDS = {"new": "new", "changed": "changed", "gone": "gone", "quarantined": "newly quarantined"}


def night_page(night: NightSummary) -> str:
    """Return the page that a night leaves in Prefect's UI, as Markdown."""
    lines = [
        f"# {as_markdown(night.name)}: {'**Alert**' if night.alerts else 'no alert'}",
        *(f"- **{as_markdown(alert)}**" for alert in night.alerts),
        "",
        as_markdown(headline(night)),
        "",
        "| images | number | the first of them |",
        "| --- | ---: | --- |",
        *(_row(kind, str(number), ", ".join(paths)) for kind, number, paths in _changes(night)),
        "",
        f"**Heads** {as_markdown(refit_text(night))}",
        "",
        "| fit | metric | now | before | difference | how |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_score_row(score) for score in night.scores),
        "",
        *(f"**Drift** {as_markdown(text)}\n" for text in drift_texts(night)),
        *(f"**Note** {as_markdown(note)}\n" for note in night.notes),
        as_markdown(
            f"Cache {night.cache}, results {night.results}, page with images {night.page}, {night.seconds:.1f} s."
        ),
    ]
    return "\n".join(lines)


def night_lines(night: NightSummary) -> list[str]:
    """Return the lines that a terminal shows of a night."""
    lines = [headline(night), f"images  {', '.join(f'{number} {kind}' for kind, number, _ in _changes(night))}"]
    lines += [f"        quarantined {path}" for path in night.changes.examples["quarantined"]]
    lines.append(f"heads   {refit_text(night)}")
    for score in night.scores:
        before = f", before {_score(score.metric, score.before)}" if score.before else ""
        change = f"{metric_name(score.metric)} {_score(score.metric, score.now)}{before} ({score.remark})"
        lines.append(f"score   {score.name}: {change}")
    lines += [f"drift   {text}" for text in drift_texts(night)]
    return [*lines, *([f"page    {nearby(night.page)}"] if night.page else [])]


def headline(night: NightSummary) -> str:
    """Say in one sentence what there was to do."""
    whole = (
        f"{night.images} images, {night.quarantined} of them in quarantine"
        if night.quarantined
        else f"{night.images} images"
    )
    if night.first:
        return f"{whole}; the first night: the next one compares with it."
    if night.lost:
        gone = len({one.label for one in night.lost})
        return f"{whole}; {gone} {'class is' if gone == 1 else 'classes are'} gone, and the models are those of before."
    if not night.changes.any and not night.embedded and not night.refitted:
        return f"{whole}; nothing changed: nothing was embedded and no head was fitted."
    return f"{whole}; {night.embedded} rows were embedded."


def refit_text(night: NightSummary) -> str:
    """Say whether the heads were fitted again, and why or why not."""
    if night.refitted:
        return f"fitted: {'; '.join(night.refitted)}."
    if night.lost:
        return f"not fitted: {', '.join(dict.fromkeys(one.label for one in night.lost))} would be lost."
    return "not fitted again: nothing that a fit goes by changed."


def drift_texts(night: NightSummary) -> list[str]:
    """Say for each fit how far new images are from old ones, and how far chance alone would leave them."""
    if night.first:
        return ["nothing to compare with on the first night."]
    return [_drift_text(drift) for drift in night.drifts] or ["no image is new, so there is nothing to compare."]


def _drift_text(drift: NightDrift) -> str:
    test, where = drift.test, f"{drift.name} ({drift.embedding})"
    mix = f"; class mix {', '.join(drift.mix)}" if drift.mix else ""
    if test.p_value is None or test.distance is None or test.null is None or drift.p_adjusted is None:
        return f"{where}: {test.reason}{mix}."
    verdict = "the new images drift" if drift.drifts else "no drift found"
    within = (
        "within their classes: another mix of classes is no drift" if drift.within_classes else "whatever their class"
    )
    return (
        f"{where}: {verdict}, p = {drift.p_adjusted:.3f} (alert below {ALPHA}); squared MMD {test.distance:.4f}, by "
        f"chance below {test.null:.4f} in 19 of 20 nights; {test.n_new} new against {test.n_old} old images, "
        f"{within}{mix}."
    )


def _changes(night: NightSummary) -> list[tuple[str, int, list[str]]]:
    return [(name, getattr(night.changes, kind), night.changes.examples[kind]) for kind, name in _KINDS.items()]


def _score_row(score: ScoreChange) -> str:
    difference = ""
    if score.difference:
        difference = _difference(score.metric, score.difference) + (", fell" if score.fell else "")
    cells = [score.name, metric_name(score.metric), _score(score.metric, score.now), _score(score.metric, score.before)]
    return _row(*cells, difference, score.remark)


def _score(metric: str, score: NightScore | None) -> str:
    if score is None:
        return score_text(metric, None)
    interval = interval_text(metric, score.low, score.high)
    return f"{score_text(metric, score.value)} {interval} on {score.n_images} images"


def _difference(metric: str, difference: ScoreRow) -> str:
    """Write a difference with its sign: in points where scores are per cent."""
    interval, value = interval_text(metric, difference.low, difference.high), difference.value or 0.0
    if find_metric(metric).unit != "share":
        return f"{value:+.3f} {interval}".strip()
    return f"{100 * value:+.1f} points {interval}".strip()


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(as_markdown, cells))} |"
