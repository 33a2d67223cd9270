"""gradio's page, but for what stands between a caller and an endpoint."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.components import _Keywords
from gradio.state_holder import SessionState

from mmdemo.ui.serving.events import is_endpoint
from mmdemo.ui.serving.payloads import LEFT_OUT


class Blocks(gr.Blocks):
    """Blocks that hand an endpoint what was sent, and send what it returns.

    gradio would look through both for files: fetch addresses that a payload names, refuse a path
    with a message that holds it, go through each number of an answer; and it would keep the last of
    both, megabytes of pictures perhaps, for as long as the caller's session lives.
    """

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[Any],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[Any]:
        """Return what a function is called with; of an endpoint, `payloads.py` checks it."""
        if is_endpoint(block_fn):
            return inputs + [LEFT_OUT] * (len(block_fn.inputs) - len(inputs))
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)

    async def postprocess_data(
        self,
        block_fn: BlockFunction,
        predictions: list[Any] | dict[str, Any],
        state: SessionState | None,
    ) -> list[Any]:
        """Return what is sent; an endpoint answers with one value, plain JSON."""
        if is_endpoint(block_fn):
            # A generator that has ended says so, and sends what it yielded last once more.
            return [None if predictions is _Keywords.FINISHED_ITERATING else predictions]
        return await super().postprocess_data(block_fn, predictions, state)
