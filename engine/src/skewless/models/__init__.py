"""A fitted estimator → a version on disk, and back into what answers: ONNX, artefact, signature, card."""
