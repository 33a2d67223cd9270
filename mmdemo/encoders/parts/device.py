"""Where a model runs."""

from __future__ import annotations

import torch

from mmdemo.errors import SettingError


def device_of(chosen: str) -> str:
    """Return the device that models run on, as torch names it.

    Args:
        chosen: from the settings; empty for cuda where there is one, else the processor.

    Raises:
        SettingError: torch does not find the one that was chosen.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not chosen:
        return "cuda" if found else "cpu"
    if chosen.startswith("cuda") and int(chosen.partition(":")[2] or 0) >= found:
        raise SettingError(
            f"MMDEMO_DEVICE is '{chosen}', and torch finds {found} of these devices here. Set it "
            "to cpu, or leave it out.",
            "no_such_device",
            device=chosen,
            count=found,
        )
    return chosen
