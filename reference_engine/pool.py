"""Several images at a time: a pool of threads, each with a pipeline of its own, over one copy of the weights.

A generation keeps state: the sampler's between two steps, the text encoding's between two prompts. One
pipeline for several threads therefore mixes them up; each thread of this pool has a whole plugin to itself,
and only the weights, which nobody writes to, are common. An image is bit for bit the one that a single plugin
makes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from .calls import Call, CallOptions, GenerationOptions, accepts, make_call
from .config import PluginConfig
from .errors import InvalidParameter
from .plugin import Plugin
from .progress import Progress
from .result import ImageResult
from .waiting import in_thread, started

MAX_THREADS = 64


def _never() -> bool:
    return False


class PluginPool:
    """What `SDK.create_pool` returns; safe to use from any thread and any event loop. A context manager,
    which waits for what was submitted.

    With persistent workers (the default) a thread keeps its plugin, the loaded model and the encoded prompts
    between tasks; without, each task starts from nothing and leaves nothing behind. `memory_limit` holds for
    each image by itself.
    """

    def __init__(
        self, config: PluginConfig, threads: int = 4, setup: Callable[[Plugin], None] | None = None
    ) -> None:
        """`threads` 1 to 64. `setup` is called with each thread's plugin before its first image, to insert
        stages, add postprocessing or load LoRAs. Raises InvalidParameter, ModelNotLoaded.
        """
        if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= MAX_THREADS:
            raise InvalidParameter(
                f"threads must be a whole number from 1 to {MAX_THREADS}, not {threads!r}.", ()
            )
        Plugin(config).close()  # tells a wrong model now, and not at the first image
        self.config = config
        self.threads = threads
        self._setup = setup
        self._own = threading.local()
        self._kept: list[Plugin] = []
        self._closing = threading.Event()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="sdk-pool")

    @accepts(CallOptions)
    def submit(self, options: CallOptions) -> Future[ImageResult]:
        """Queues an image, with the parameters of `Plugin.generate_image` except `timeout`, which the
        future's `result` takes. `progress` is called in the worker's thread. The future raises the errors of
        `generate_image`. `future.cancel()` works until the image is begun.
        """
        return started(
            self._executor, self._carry_out, make_call(self.config, options), _never, options.progress
        )

    @accepts(GenerationOptions)
    async def generate_image(self, options: GenerationOptions) -> ImageResult:
        """As `Plugin.generate_image`, parameters and errors included, but several calls run at a time."""
        call = make_call(self.config, options)
        return await in_thread(
            self._executor,
            lambda cancelled, report: self._carry_out(call, cancelled, report),
            timeout=options.timeout,
            progress=options.progress,
        )

    def close(self, *, cancel: bool = False) -> None:
        """Takes no more work and waits for the work there is; with `cancel` drops what has not begun, and
        stops the rest at the next step.
        """
        if cancel:
            self._closing.set()
        self._executor.shutdown(wait=True, cancel_futures=cancel)
        while self._kept:  # now, and not when the collector of garbage comes by
            self._kept.pop().close()

    def __enter__(self) -> PluginPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def _carry_out(self, call: Call, cancelled: Callable[[], bool], progress: Progress | None) -> ImageResult:
        def stop() -> bool:
            return self._closing.is_set() or cancelled()

        if not self.config.persistent_workers:
            plugin = self._plugin()
            try:
                return plugin.carry_out(call, stop, progress)
            finally:
                plugin.close()
        if not hasattr(self._own, "plugin"):
            self._own.plugin = self._plugin()
            self._kept.append(self._own.plugin)
        own: Plugin = self._own.plugin
        return own.carry_out(call, stop, progress)

    def _plugin(self) -> Plugin:
        plugin = Plugin(self.config)
        if self._setup is not None:
            self._setup(plugin)
        return plugin
