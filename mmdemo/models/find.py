"""From what somebody named to the description of a model: for the owner, and for visitors."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError, ModelError, did_you_mean
from mmdemo.models.catalogue import MODELS
from mmdemo.models.files import all_files, on_this_machine
from mmdemo.models.hub.describe import from_cache, from_hub
from mmdemo.models.hub.place import is_hub_id, typed_id
from mmdemo.models.local import looks_like_path, recognise
from mmdemo.settings import (
    chosen_model,
    default_model,
    hub_ids_accepted,
    offered_models,
    paths_accepted,
)

log = logging.getLogger(__name__)

_of_hub: dict[tuple[str, bool], ModelSpec] = {}
_unreachable: dict[str, MMDemoError] = {}


def find_model(name: str | Path | None = None) -> ModelSpec:
    """Return the description of a model.

    Args:
        name: a key of `MODELS`, a path to a directory or a checkpoint, or the id of a repository of
            the hub (`owner/name`, or the address of its page), which is asked where it is not on
            this machine; by default the environment's choice.

    Raises:
        ModelError: there is no such model, or nothing at that path that can be loaded.
        DownloadError: the hub cannot be asked, or has no such repository.
    """
    if isinstance(name, Path):
        return _local_model(name)
    name = typed_id(name or "") or default_model()
    if name in MODELS:
        return MODELS[name]
    if path := _meant_path(name):
        return _local_model(path)
    if is_hub_id(name):
        return describe_hub(name)
    known = ", ".join(MODELS)
    raise ModelError(
        f"There is no model '{name}'.{did_you_mean(name, MODELS)} Known: {known}; or the path of a "
        "local directory; or the id of a repository of the hub, as in 'owner/name'.",
        "no_such_model",
        name=name,
        known=known,
    )


def describe_hub(repo: str, *, ask: bool = True, anonymous: bool = False) -> ModelSpec:
    """Return the description of a repository of the hub.

    From memory, or from the hub's cache where it is complete there; else the hub is asked, in two
    short requests. Weights are not fetched.

    Args:
        repo: its id, `owner/name`.
        ask: False to stay off the network.
        anonymous: True where a stranger names it: the hub is asked without the credentials of this
            machine's owner, and the cache, which may hold what only the owner has access to, does
            not replace its answer.

    Raises:
        ModelError: it holds no model that can be loaded; or it is not known here and `ask` is
            False.
        DownloadError: the hub cannot be asked, or has no such repository.
    """
    if known := _of_hub.get((repo, anonymous)):
        return known
    model = None if anonymous else from_cache(repo)
    if model is None and ask:
        model = from_hub(repo, anonymous=anonymous)
    if model is None:
        raise ModelError(
            f"{repo} is not on this machine. Choose it on the page, which fetches it, or run "
            f"'python -m mmdemo download {repo}'.",
            "hub_model_not_here",
            name=repo,
        )
    spec = replace(model, name=repo, title=repo, source=f"hub:{repo}")
    return _of_hub.setdefault((repo, anonymous), spec)


def _meant_path(name: str) -> Path | None:
    """Return the path that a name means, or None.

    What may be an id of the hub too is a path where there is one.
    """
    if not looks_like_path(name) or (is_hub_id(name) and not _exists(Path(name))):
        return None
    return Path(name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no permission to look
        return False


def _local_model(path: Path) -> ModelSpec:
    """Describe a directory or a checkpoint on this machine."""
    try:
        found = recognise(path)
        # Not where its model is: one of sentence-transformers calls that `0_CLIPModel`.
        folder = (path if path.is_dir() else path.parent).expanduser().absolute()
        weights = found.local[1:] or found.local
        size = sum(file.stat().st_size for file in all_files(weights) if file.is_file())
    except (OSError, RuntimeError) as error:  # no permission; too long; no such user in ~name
        raise ModelError(
            f"'{path.name[:80]}' cannot be read. Check the path and its permissions.",
            "path_unreadable",
            name=path.name[:80],
        ) from error
    # Not named after the directory alone: that may be the name of another model.
    return replace(
        found,
        name=f"local:{folder.name}",
        title=folder.name,
        source="local",
        size_mb=round(size / 1e6, 1),
    )


def offered() -> list[ModelSpec]:
    """Return the models that the page offers: those of `MMDEMO_MODELS`, or all of `MODELS`.

    `MMDEMO_MODEL` is among them, wherever it is set. A repository of the hub that cannot be had is
    not, while there is another model: see `unavailable`.

    Raises:
        ModelError: an entry is neither a name nor the path of a model, or two have one name.
        DownloadError: there is nothing to offer but what cannot be had.
    """
    # By keys: a set would lose the order.
    specs = {found: None for found in _listed().values() if isinstance(found, ModelSpec)}
    if not specs:
        raise next(iter(unavailable().values())).again()
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(
                f"Two of the models on offer are called '{name.removeprefix('local:')}'. Rename "
                "one of the directories.",
                "two_of_one_name",
                name=name.removeprefix("local:"),
            )
    return list(specs)


def unavailable() -> dict[str, MMDemoError]:
    """Return the repositories of the hub that should be on offer and cannot be had, and why not.

    As on a stage without a network: the page must start, and say it of the one.
    """
    return {name: found for name, found in _listed().items() if isinstance(found, MMDemoError)}


def model_rows() -> list[dict[str, Any]]:
    """Return plain JSON of the models on offer; of those that cannot be had, the name and why."""
    return [
        *(model_row(spec) for spec in offered()),
        *(
            {"name": name, "on_this_machine": False, "error": str(error)}
            for name, error in unavailable().items()
        ),
    ]


def model_row(spec: ModelSpec) -> dict[str, Any]:
    """Return plain JSON: the fields, and `on_this_machine`; no paths of this machine."""
    told = [field.name for field in fields(spec) if field.name not in ("hub", "local")]
    return {name: getattr(spec, name) for name in told} | {"on_this_machine": on_this_machine(spec)}


def _listed() -> dict[str, ModelSpec | MMDemoError]:
    """Return what became of each entry of the settings, by what was written there."""
    wanted = [*(offered_models() or MODELS), *filter(None, [chosen_model()])]
    return {typed_id(name): _listed_model(typed_id(name)) for name in wanted}


def _listed_model(name: str) -> ModelSpec | MMDemoError:
    """Find an entry of the settings; one that cannot be had is not asked for again and again.

    The list is looked at by every event of the page, and a hub that does not answer takes its time.
    """
    if known := _unreachable.get(name):
        return known
    try:
        return find_model(name)
    except MMDemoError as error:
        if not is_hub_id(name):  # a slip of the pen, which whoever starts the app must learn of
            raise
        log.warning("%s", error)
        return _unreachable.setdefault(name, error)


def find_offered(name: str | None = None, *, ask: bool = False) -> ModelSpec:
    """Return one of the models that visitors of the page may use, and nothing else of this machine.

    Those are the models that the page offers. Where `MMDEMO_MODELS` does not pin them, paths too
    where `paths_accepted` says that the visitor is the owner, and ids of the hub where
    `hub_ids_accepted` does: public ones, and for the owner whatever the owner has access to.

    Args:
        name: as in `ModelSpec.name`, or what a visitor typed, the address of a model's page
            perhaps; by default the environment's choice, else the first.
        ask: whether the hub may be asked about an id that is not known here. That takes as long as
            the network does: for the choice of a model, not for its use.

    Raises:
        ModelError: there is no such model, or not for visitors.
        DownloadError: the hub cannot be asked, or has no such repository.
    """
    choices = {spec.name: spec for spec in offered()}
    name = typed_id(name or "")
    if not name:
        preferred = _listed_model(default_model())
        wanted = preferred.name if isinstance(preferred, ModelSpec) else ""
        return choices.get(wanted) or next(iter(choices.values()))
    if name in choices:
        return choices[name]
    if name in unavailable():
        if ask:
            _unreachable.pop(name, None)  # perhaps it can be had by now
        found = _listed_model(name)
        if isinstance(found, ModelSpec):
            return found
        raise found.again()
    known = ", ".join(choices)
    if not offered_models() and (found := _not_listed(name, known, ask=ask)):
        return found
    raise ModelError(
        f"There is no model '{name}'.{did_you_mean(name, choices)} Known: {known}.",
        "unknown_model",
        name=name,
        known=known,
    )


def _not_listed(name: str, known: str, *, ask: bool) -> ModelSpec | None:
    """Describe what a visitor typed that is not on the list: a path, or an id of the hub.

    For anybody but the owner of this machine nothing is looked for on it, and no credentials are
    used: whether something exists here, and what the owner has access to elsewhere, is nobody
    else's business.
    """
    owner = paths_accepted()
    if owner and (path := _meant_path(name)):
        return _local_model(path)
    if not is_hub_id(name):
        return None
    if not hub_ids_accepted():
        raise ModelError(
            f"Visitors of this page cannot name models of the hub, such as {name}. Accepted: "
            f"{known}. Whoever runs the page can set MMDEMO_HUB_IDS=1, or offer this one in "
            "MMDEMO_MODELS.",
            "hub_ids_refused",
            name=name,
            known=known,
        )
    return describe_hub(name, ask=ask, anonymous=not owner)
