"""From what the user asked to what the renderer needs: a chain of stages."""

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
