"""One form of one site as a network of its own: what can be timed apart from the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from portrait_tflite.convert.export import run_converter
from portrait_tflite.convert.graph import evaluate
from portrait_tflite.convert.rewrites.keras.site import Form, Site
from portrait_tflite.quiet import quiet


def export_form(site: Site, form: Form, configure: Callable[[Any], None] | None = None) -> bytes:
    """Convert a form of a site to a `.tflite` from the site's boundary to its output.

    Args:
        form: One that needs no fitting.
        configure: Sets the options of the `TFLiteConverter`.

    Raises:
        ConversionError: An op has no TFLite builtin.
    """
    output = form.build(site.boundary) if form.build else site.root
    signature = [tf.TensorSpec(value.shape, tf.float32) for value in site.boundary]

    def network(*tensors: Any) -> Any:
        return evaluate([output], dict(zip(site.boundary, tensors, strict=True)))[0]

    with quiet():
        # There is no Python control flow on tensors that AutoGraph would have to translate.
        traced = tf.function(network, input_signature=signature, autograph=False)
        concrete = traced.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], None)
        if configure:
            configure(converter)
        return run_converter(converter)
