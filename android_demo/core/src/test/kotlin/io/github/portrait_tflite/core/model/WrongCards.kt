package io.github.portrait_tflite.core.model

/** What stands in a good model.json, what is put there instead, and what is said then. */
internal val WRONG =
    listOf(
        Triple(
            """"schema": 1""",
            """"schema": 2""",
            "Received: schema 2. Update the app.",
        ),
        Triple(
            """"schema": 1""",
            """"schema": 0""",
            "Received: schema 0. Convert the model again.",
        ),
        Triple(
            """"schema": 1""",
            """"schema": "1"""",
            """schema must be a whole number. Received: "1".""",
        ),
        Triple(
            """"fit": "stretch"""",
            """"fit": "zoom"""",
            """spec.fit must be stretch or letterbox or crop. Received: "zoom".""",
        ),
        Triple(
            """"height": 48""",
            """"height": 0""",
            "spec.height must be 1 to 8192. Received: 0.",
        ),
        Triple(
            """"height": 48""",
            """"height": 32""",
            "shape must be [1, 32, 40, 3] as the spec says.",
        ),
        Triple(
            """"channels": "rgb"""",
            """"channels": "gray"""",
            "shape must be [1, 48, 40, 1] as the spec says.",
        ),
        Triple(
            """"channel": 0""",
            """"channel": 3""",
            "must be of 4 channels or more as the spec says.",
        ),
        Triple(
            """"dtype": "int8"""",
            """"dtype": "int16"""",
            "input.dtype must be int8 or uint8 or float32.",
        ),
        Triple(
            """"std": []""",
            """"std": [1, 0, 1]""",
            "spec.std must be without zeros.",
        ),
        Triple(
            """"mean": []""",
            """"mean": [1, 2]""",
            "spec.mean must be no number, one or 3.",
        ),
        Triple(
            """"mean": []""",
            """"mean": 4""",
            "spec.mean must be a list. Received: 4.",
        ),
        Triple(
            """"mean": []""",
            """"mean": ["a"]""",
            """spec.mean[0] must be a number. Received: "a".""",
        ),
        Triple(
            """"labels": [""",
            """"labels": [ 5,""",
            "labels[0] must be a text. Received: 5.",
        ),
        Triple(
            """"max_step": 0""",
            """"most": 0""",
            "must be a max_step or a least_iou.",
        ),
        Triple(
            """"cpu": {""",
            """"npu": {""",
            "must be about cpu, xnnpack or gpu.",
        ),
        Triple(
            """"recommended_delegate": "xnnpack"""",
            """"recommended_delegate": null""",
            "must be cpu or xnnpack or gpu. Received: nothing.",
        ),
        Triple(
            """"file": "rgb""",
            """"file": "../rgb""",
            "file must be the name of a file beside it.",
        ),
        Triple(
            """"sha256": """",
            """"sha256": "x""",
            "sha256 must be 64 hexadecimal digits.",
        ),
        Triple(
            """"bytes":""",
            """"bytes": true, "b":""",
            "bytes must be a whole number. Received: true.",
        ),
        Triple(
            """"golden":""",
            """"golden": 5, "g":""",
            "golden must be a list. Received: 5.",
        ),
        Triple(
            """"variants":""",
            """"variants": {}, "v":""",
            "variants must be one variant or more.",
        ),
        Triple(
            """"spec":""",
            """"spec": 3, "s":""",
            "spec must be an object. Received: 3.",
        ),
        Triple(
            """"zero_point": -128""",
            """"zero_point": -129""",
            "zero_point must be -128 to 127. Received: -129.",
        ),
        Triple(
            """"scale": 0.00390625""",
            """"scale": 0""",
            "scale must be above 0 for int8.",
        ),
    )
