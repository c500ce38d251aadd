"""The border to MediaPipe: its two face detectors and its attention mesh, as plain functions.

The networks ship inside MediaPipe's wheel and run offline. The mesh runs in a graph of our
own, because the packaged one hides the presence score and crops from the bounding box of all
landmarks, so that an opening mouth moves the crop; here the caller crops.

MediaPipe writes start-up notes to the process's stderr from C++; they are held back while
networks start, and shown again if starting fails.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lipcore.errors import DependencyError
from lipcore.types import LANDMARK_COUNT, FloatArray

Picture = npt.NDArray[np.uint8]
"""``(height, width, 3)`` display-referred sRGB, 0-255."""

MESH_SIZE = 192
"""Side of the mesh network's input in pixels."""

_MESH_GRAPH = """
input_stream: "image"
output_stream: "score"
output_stream: "landmarks"
node {
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:input"
  options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 192 output_tensor_height: 192
    output_tensor_float_range { min: 0.0 max: 1.0 }
  } }
}
node {
  calculator: "TfLiteCustomOpResolverCalculator"
  output_side_packet: "OP_RESOLVER:op_resolver"
}
node {
  calculator: "InferenceCalculator"
  input_side_packet: "OP_RESOLVER:op_resolver"
  input_stream: "TENSORS:input"
  output_stream: "TENSORS:output"
  options { [mediapipe.InferenceCalculatorOptions.ext] {
    model_path: "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite"
    delegate { xnnpack { num_threads: 1 } }
  } }
}
node {
  calculator: "SplitTensorVectorCalculator"
  input_stream: "output"
  output_stream: "parts"
  output_stream: "presence"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 6 } ranges { begin: 6 end: 7 }
  } }
}
node {
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:presence"
  output_stream: "FLOAT:score"
  options { [mediapipe.TensorsToFloatsCalculatorOptions.ext] { activation: SIGMOID } }
}
node {
  calculator: "TensorsToFaceLandmarksWithAttention"
  input_stream: "TENSORS:parts"
  output_stream: "LANDMARKS:landmarks"
}
"""


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what native code writes to stderr; show it if the block raises.

    The descriptor belongs to the whole process, so the block should be short: only the start
    of a network stands in one.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a process without a stderr has nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _load_mediapipe() -> Any:
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import mediapipe
        import mediapipe.python as bindings
    except ImportError as error:
        raise DependencyError(
            f"face tracking needs mediapipe 0.10.21, which does not import here: {error}",
            hint="Install it with: pip install mediapipe==0.10.21",
        ) from error
    bindings.resource_util.set_resource_dir(os.path.dirname(os.path.dirname(mediapipe.__file__)))  # noqa: PTH120
    return mediapipe


def _starting_failed(what: str, error: Exception) -> DependencyError:
    return DependencyError(
        f"MediaPipe could not start its {what}: {str(error).splitlines()[0]}",
        hint="Install the tested release with: pip install mediapipe==0.10.21",
    )


class MeshNetwork:
    """The 478-point attention mesh on one face crop. Not for use by several threads at once."""

    def __init__(self) -> None:
        try:
            with quiet_stderr():
                _load_mediapipe()
                import mediapipe.python as bindings

                self._bindings = bindings
                self._graph = bindings.CalculatorGraph(graph_config=_MESH_GRAPH)
                self._time = 0
                self._score = 0.0
                self._landmarks: Any = None
                self._graph.observe_output_stream("score", self._take_score)
                self._graph.observe_output_stream("landmarks", self._take_landmarks)
                self._graph.start_run()
                self(np.zeros((MESH_SIZE, MESH_SIZE, 3), np.uint8))  # the first run logs too
        except RuntimeError as error:
            raise _starting_failed("face mesh", error) from error

    def _take_score(self, _: str, packet: Any) -> None:
        self._score = self._bindings.packet_getter.get_float(packet)

    def _take_landmarks(self, _: str, packet: Any) -> None:
        self._landmarks = self._bindings.packet_getter.get_proto(packet)

    def __call__(self, crop: Picture) -> tuple[FloatArray, float]:
        """Landmarks of the face that fills the crop.

        Args:
            crop: ``(192, 192, 3)`` uint8 sRGB, the face upright, about two thirds of the side.

        Returns:
            ``(478, 3)`` float32 with x and y in 0-1 of the crop's side (corner to corner), z in
            the same scale, and the network's belief, 0-1, that a face fills the crop.
        """
        image = self._bindings.Image(
            image_format=self._bindings.ImageFormat.SRGB, data=np.ascontiguousarray(crop)
        )
        self._time += 1
        self._graph.add_packet_to_input_stream(
            "image", self._bindings.packet_creator.create_image(image).at(self._time)
        )
        self._graph.wait_until_idle()
        points = self._landmarks.landmark
        flat = (value for p in points for value in (p.x, p.y, p.z))
        landmarks: FloatArray = np.fromiter(flat, np.float32, 3 * LANDMARK_COUNT).reshape(-1, 3)
        return landmarks, float(self._score)

    def close(self) -> None:
        """Stop the graph's threads."""
        self._graph.close_all_packet_sources()
        self._graph.wait_until_done()


class DetectorNetwork:
    """One of MediaPipe's face detectors on a square picture."""

    def __init__(self, reach: Literal["full", "short"], min_score: float) -> None:
        self.size = 192 if reach == "full" else 128
        """Side of the network's input in pixels."""
        try:
            with quiet_stderr():
                solutions = _load_mediapipe().solutions
                self._solution = solutions.face_detection.FaceDetection(
                    model_selection=1 if reach == "full" else 0,
                    min_detection_confidence=min_score,
                )
                self._solution.process(np.zeros((self.size, self.size, 3), np.uint8))
        except RuntimeError as error:
            raise _starting_failed(f"{reach}-range detector", error) from error

    def __call__(self, picture: Picture) -> list[tuple[FloatArray, float, FloatArray]]:
        """Faces in a picture of ``size`` x ``size`` pixels.

        Returns:
            ``(box (4,) x0 y0 x1 y1, score, points (6, 2))`` a face, all in 0-1 of the side;
            the points are eyes, nose tip, mouth and ears, the picture's left ones first.
        """
        found = self._solution.process(np.ascontiguousarray(picture)).detections or []
        faces = []
        for detection in found:
            place = detection.location_data
            box = place.relative_bounding_box
            corners = np.array(
                [box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height], np.float32
            )
            points = np.array([(p.x, p.y) for p in place.relative_keypoints], np.float32)
            faces.append((corners, float(detection.score[0]), points))
        return faces

    def close(self) -> None:
        """Stop the graph's threads."""
        self._solution.close()
