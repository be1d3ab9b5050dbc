"""The raw bits that TrustMark reads, by its vendor's package with the user's weights; downloads nothing."""

import contextlib
import hashlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import _frames

# The network runs in torch, which reserves far more than it uses.
_frames.MAX_MEMORY = 64 << 30
MODELS = ("Q", "B", "C", "P")
BITS = 100


def answer(header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import numpy as np
    from PIL import Image

    # The package prints its progress on stdout, which is for the answer.
    with contextlib.redirect_stdout(sys.stderr):
        reader = _reader(Path(header["weights"]))
        width, height = header["size"]
        rgb = np.frombuffer(payload, np.uint8).reshape(height, width, 3)
        views = (rgb, np.ascontiguousarray(rgb[:, ::-1]))
        words = [reader.decode(Image.fromarray(view, "RGB"), MODE="binary")[0] for view in views]
        packet = reader.ecc.encode_binary([header["word"]])[0]
    return {
        "words": [[int(bit) for bit in word] for word in words],
        "packet": [int(bit) for bit in packet],
    }, b""


def _reader(folder: Path) -> Any:
    from trustmark import TrustMark
    from trustmark.trustmark import MODEL_CHECKSUMS

    kind = next((kind for kind in MODELS if (folder / f"decoder_{kind}.ckpt").is_file()), None)
    if kind is None:
        raise ValueError(f"{folder} contains no decoder_Q.ckpt or decoder of another model")
    for name in (f"trustmark_{kind}.yaml", f"decoder_{kind}.ckpt"):
        file = folder / name
        if not file.is_file() or hashlib.md5(file.read_bytes()).hexdigest() != MODEL_CHECKSUMS[name]:
            raise ValueError(f"{name} is missing, or its MD5 sum is not the one in the package")

    class Reader(TrustMark):  # type: ignore[misc]
        """Opens only the decoder, from the user's folder."""

        def load_model(
            self, config_path: str, weight_path: str, device: str, secret_len: int, part: str = "all"
        ) -> Any:
            if part != "decoder":
                return None
            own = [str(folder / Path(path).name) for path in (config_path, weight_path)]
            return super().load_model(*own, device, secret_len, part)

        def check_and_download(self, filename: str) -> None:
            """Both files were checked; without this method the package would contact its vendor."""

    return Reader(
        use_ECC=False, verbose=False, secret_len=BITS, device="cpu", model_type=kind, loadRemover=False
    )


_frames.serve(answer)
