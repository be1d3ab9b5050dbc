"""A plugin that makes as many images as its prompt names, and takes an init image."""

import asyncio
import threading

from PIL import Image


class Result:
    def __init__(self, images):
        self.image = images[0]
        self.images = images


class Each:
    def __init__(self, images):
        self.each = [Result([image]) for image in images]


def plain(*colours):
    return [Image.new("RGB", (8, 6), colour) for colour in colours]


class Painter:
    def __init__(self, sdk, config):
        self.born = threading.get_ident()

    async def generate_image(self, prompt, *, init_image=None):
        return getattr(self, prompt)(init_image)

    def three(self, start):
        return Result(plain("red", "green", "blue"))

    def two(self, start):
        return Each(plain("red", "green"))

    def many(self, start):
        return Result(plain(*["red"] * 20))

    def copy(self, start):
        return start.transpose(Image.Transpose.ROTATE_180)

    def where(self, start):
        asyncio.get_running_loop()
        return plain("green" if threading.get_ident() == self.born else "blue")[0]

    def nothing(self, start):
        return "a very fine picture"

    def refuse(self, start):
        raise ValueError("no pictures")
