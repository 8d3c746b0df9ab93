"""ZeroPadding2D and Cropping2D layers in a row as one."""

from __future__ import annotations

from portrait_tflite.convert.graph import Value
from portrait_tflite.convert.rewrites.keras.frame import Frame, frame_of, framed
from portrait_tflite.convert.rewrites.keras.site import Refusal, Site, Uses, single


class MergeFrames:
    """Makes paddings and croppings in a row one of each, or nothing.

    Given:  x → ZeroPadding2D(2) → Cropping2D(1) → y
    Result: x → ZeroPadding2D(1) → y

    Any number of them, side by side: what is cut off again is never added. Where one side grows and
    another shrinks, the cut comes first. A cropping before a padding of the same side is no pair:
    its lines become zeros.
    """

    name = "merge_frames"

    def match(self, value: Value, uses: Uses) -> Site | Refusal | None:
        frame = frame_of(value.node)
        if frame is None:
            return None
        source, frame, count = _chain(value, frame, uses)
        # The network's output must stay a tensor of its own.
        if frame == Frame() and source.node.op is None:
            return None
        # One alone is as short as it can be.
        if count == 1 and frame != Frame():
            return None
        name = value.node.name
        return Site(
            layer=name,
            root=value,
            boundary=(source,),
            forms=single("merged", lambda boundary: framed(name, boundary[0], frame)),
            reason="in a row" if count > 1 else "nothing is added or cut off",
        )


def _chain(value: Value, frame: Frame, uses: Uses) -> tuple[Value, Frame, int]:
    """Walk up as long as two are one: return what is before them, what they come to, how many."""
    source, count = value.node.inputs[0], 1
    # Somebody else needs the tensor between: it must be made anyway.
    while uses[source] == 1 and (earlier := frame_of(source.node)):
        merged = earlier.then(frame)
        before = source.node.inputs[0]
        if merged is None or not merged.leaves(*before.shape[1:3]):
            break
        source, frame, count = before, merged, count + 1
    return source, frame, count
