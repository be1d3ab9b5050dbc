"""A pool of threads that makes several images at a time. Each thread has its own pipeline; all share one copy
of the weights.

A generation has state: the sampler's between two steps, the text encoding's between two prompts. Several
threads in one pipeline would mix these states. Each thread of this pool therefore has its own plugin, and
shares only the weights, which are never written to. Images are bit for bit those of a single plugin.
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
    """What `SDK.create_pool` returns. It is safe to use from any thread and any event loop. As a context
    manager it waits for submitted work at the end.

    With persistent workers (the default) a thread keeps its plugin, the loaded model and the encoded prompts
    between tasks. Without, each task starts from nothing and keeps nothing. `memory_limit` applies to each
    image separately.
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
        Plugin(config).close()  # raises for a wrong model now, and not at the first image
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
        """Takes no more work, and waits for the work in progress. With `cancel` it drops tasks that have not
        begun, and stops the others at the next step.
        """
        if cancel:
            self._closing.set()
        self._executor.shutdown(wait=True, cancel_futures=cancel)
        while self._kept:  # now, and not at some later garbage collection
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
