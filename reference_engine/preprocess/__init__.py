"""A chain of stages that turns a user's call into the request that the renderer needs."""

from .encoding import TextEncoding
from .latents import InitialLatents
from .parameters import ParameterCheck
from .pipeline import PreprocessPipeline, Stage
from .prompts import PromptCheck
from .request import Request

__all__ = [
    "InitialLatents",
    "ParameterCheck",
    "PreprocessPipeline",
    "PromptCheck",
    "Request",
    "Stage",
    "TextEncoding",
]
