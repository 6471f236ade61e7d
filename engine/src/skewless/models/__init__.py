"""A fitted estimator → a version on disk, and back into what answers.

The modules deal with ONNX, the artefact, its signature and its model card.
"""
