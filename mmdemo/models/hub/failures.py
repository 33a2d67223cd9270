"""What goes wrong between here and the hub, in sentences."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmdemo.errors import DownloadError, MMDemoError
from mmdemo.models.hub.cache import Plan
from mmdemo.progress import size_text

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError


@contextmanager
def explained(name: str, host: str, wanted: Plan | None = None) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into a sentence.

    Args:
        name: the model.
        host: where the hub is asked.
        wanted: what is being fetched, once it is known.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except MMDemoError:
        raise
    except OfflineModeIsEnabled as error:
        raise DownloadError(
            f"{name} is not on this machine and HF_HUB_OFFLINE forbids to fetch it: {_ways(name)}",
            "offline_setting",
            name=name,
        ) from error
    except HfHubHTTPError as error:
        raise _refused(name, host, error) from error
    except LocalEntryNotFoundError as error:
        raise _broken_off(name, host, wanted) from error
    except OSError as error:
        if wanted is not None and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(name, wanted.total - wanted.here, 0) from error
        raise unusable(name, host) from error
    except Exception as error:  # the HTTP client's own: httpx or httpx2, by version
        raise _broken_off(name, host, wanted) from error


def _ways(name: str) -> str:
    return (
        f"run 'python -m mmdemo download {name}' ahead of time where there is a network, set "
        "HF_ENDPOINT to a mirror, or put a local directory with its files into MMDEMO_MODELS."
    )


def _broken_off(name: str, host: str, wanted: Plan | None) -> DownloadError:
    if wanted is None or not wanted.here:
        return DownloadError(
            f"{name} is not on this machine and {host} cannot be reached: {_ways(name)}",
            "offline",
            name=name,
            host=host,
        )
    here, total = size_text(wanted.here), size_text(wanted.total)
    return DownloadError(
        f"The download of {name} broke off; {here} of {total} are kept. Check the connection and "
        "start it again: it goes on where it stopped.",
        "broken_off",
        name=name,
        here=here,
        total=total,
    )


def _refused(name: str, host: str, error: HfHubHTTPError) -> DownloadError:
    from huggingface_hub.errors import RepositoryNotFoundError

    if isinstance(error, RepositoryNotFoundError):
        return _no_repository(name, host)
    status = error.response.status_code
    return DownloadError(
        f"{host} answered {status} instead of the files of {name}. Try again later, or check "
        "HF_ENDPOINT and, where the hub wants to know who asks, HF_TOKEN.",
        "hub_refused",
        name=name,
        host=host,
        status=status,
    )


def _no_repository(name: str, host: str) -> DownloadError:
    return DownloadError(
        f"{host} has no public model {name}. Check its spelling, as in 'owner/name'; where it "
        "is private, or wants its terms accepted first, whoever runs this sets HF_TOKEN and, for a "
        "page that others see, names it in MMDEMO_MODELS.",
        "no_repository",
        name=name,
        host=host,
    )


def unusable(name: str, host: str) -> DownloadError:
    """Return the error for a server that is no hub, or a cache that cannot be written."""
    return DownloadError(
        f"The files of {name} could not be fetched: {host} does not answer as a model hub does, "
        "or the model cache cannot be written. Check HF_ENDPOINT and HF_HOME.",
        "hub_unusable",
        name=name,
        host=host,
    )


def disk_full(name: str, needed: int, free: int) -> DownloadError:
    """Return the error for a disk that is too small; both sizes in bytes."""
    needs, has = size_text(needed), size_text(free)
    return DownloadError(
        f"{name} needs {needs} more on the disk of the model cache, where {has} can be taken. "
        "Free some space, or set HF_HOME to a folder on a larger disk.",
        "disk_full",
        name=name,
        needed=needs,
        free=has,
    )
