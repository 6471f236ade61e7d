"""The same model inside a Flask application that exists already.

Try it: flask --app examples/flask_app run
"""

from pathlib import Path
from typing import Any

from flask import Flask, request
from pydantic import ValidationError
from skewless.serving import load_model

from churn_service.project import project
from churn_service.schema import Customer

app = Flask(__name__)
model = load_model(project, Path(__file__).parents[1] / "config.yaml")


@app.post("/churn")
def churn() -> tuple[dict[str, Any], int]:
    """Predict one customer's churn."""
    try:
        customer = Customer.model_validate_json(request.get_data())
    except ValidationError as error:
        return {
            "errors": error.errors(
                include_url=False, include_input=False, include_context=False
            )
        }, 422
    (decision,) = model.predict([customer])
    return {
        "churn_probability": decision.probability,
        "model_version": model.version,
    }, 200
