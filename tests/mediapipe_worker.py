"""Run by a Python with `mediapipe`: segment pictures with a file that describes itself.

python mediapipe_worker.py MODEL FOLDER

Writes, for every PNG of FOLDER, the person's confidence mask beside it as `.npy`, and prints the
labels that MediaPipe found. The fixture `mediapipe_segment` is the other end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main(model: str, folder: Path) -> None:
    """Segment every picture of a folder."""
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=model), output_confidence_masks=True
    )
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        for picture in sorted(folder.glob("*.png")):
            result = segmenter.segment(mediapipe.Image.create_from_file(str(picture)))
            mask = result.confidence_masks[segmenter.labels.index("person")]
            np.save(picture.with_suffix(".npy"), np.squeeze(mask.numpy_view()))
        print(",".join(segmenter.labels))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
