"""Measuring a background set on this machine: once for everybody, and after all that is urgent."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from mmdemo.background.pairs import unrelated_scores
from mmdemo.background.sets import Background, Weights, background, key_of, remember
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import StoppedError
from mmdemo.models.lane import Priority
from mmdemo.progress import Report, ShareReport
from mmdemo.work import Shared, Work

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

log = logging.getLogger(__name__)

_QUANTILES = 201  # every half percent
# A classifier says "none of these" where a cosine is no higher than 99 to 99.9 % of the background.
_FINER = {"t2i": 1001}

AGAIN = 300.0
"""Seconds after which a measurement that failed, or was stopped, is tried again when it is wanted.
The page asks at every comparison, and what failed a moment ago fails again."""

_LOOK_EVERY = 0.2  # seconds

_works: Shared[Background] = Shared()
_one_at_a_time = threading.Lock()  # two would only fight over the same cores


def measure(
    encoder: Encoder, progress: ShareReport | None = None, *, thorough: bool = False
) -> Background:
    """Compute the background set of a model from the shipped pictures and texts.

    Args:
        encoder: embeds texts; pair kinds with pictures are left out where it does not embed those.
        progress: called with the share done.
        thorough: take eight times as many fused passes, for a set that ships.
    """
    measured = unrelated_scores(encoder, progress or (lambda share: None), thorough=thorough)
    return Background(
        quantiles={
            kind: np.quantile(values, np.linspace(0, 1, _FINER.get(kind, _QUANTILES))).round(5)
            for kind, values in measured.items()
        },
        pairs={kind: len(values) for kind, values in measured.items()},
        fingerprint=encoder.fingerprint,
    )


def ensure(encoder: Encoder, report: Report | None = None) -> Background:
    """Return the background set of a model, measured and kept if it is not known yet.

    Blocks until it is there: some seconds to some minutes. Whoever asks for the same model at the
    same time waits for the one measurement.

    Args:
        encoder: from `load_encoder`.
        report: told how far it is; what it raises ends the waiting, not the measurement.

    Raises:
        StoppedError: somebody stopped it.
    """
    if known := background(encoder):
        return known
    work = _started(encoder)
    while not work.wait(_LOOK_EVERY):
        if report and work.progress:
            report(work.progress)
    known = work.result()
    if report and work.progress:
        report(work.progress)
    return known


def start(encoder: Encoder) -> None:
    """Have the set measured in the background, unless it is known or on its way already.

    What failed or was stopped is tried again after `AGAIN`; `ensure` tries at once.
    """
    if not encoder.fingerprint or background(encoder):
        return
    last = _works.latest(key_of(encoder))
    if last is None or _may_be_tried(last):
        _started(encoder)


def measuring(weights: Weights | ModelSpec) -> Work[Background] | None:
    """Return the measurement of a model that runs; None where none does."""
    work = _works.latest(key_of(weights))
    return work if work is not None and not work.ended and not work.stopping else None


def failed(model: str, fingerprint: str) -> bool:
    """Return whether the last measurement of a model's weights ended without a set."""
    work = _works.latest((model, fingerprint))
    return work is not None and work.ended and work.error is not None


def _may_be_tried(last: Work[Background]) -> bool:
    return last.ended_at is not None and time.monotonic() - last.ended_at > AGAIN


def _started(encoder: Encoder) -> Work[Background]:
    """Return the measurement of a model, started where none runs."""
    key = key_of(encoder)

    def measured(work: Work[Background]) -> Background:
        with _one_at_a_time:
            if known := background(encoder):
                return known
            try:
                own = encoder.at(Priority.BACKGROUND, work.unwanted)
                known = measure(own, lambda share: work(100 * share, 100, "background"))
            except StoppedError:
                raise
            except Exception:  # perhaps nobody waits who would learn of it
                log.exception("The background set of %s could not be measured", encoder.name)
                raise
            remember(encoder, known)
            return known

    if not encoder.fingerprint:  # made by hand: nothing tells it from another
        key = key, id(encoder)
    return _works.start(key, measured, name="background set")
