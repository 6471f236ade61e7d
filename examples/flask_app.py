"""The same predictor inside a Flask application that exists already.

Try it: flask --app examples/flask_app run
"""

from pathlib import Path
from typing import Any

from flask import Flask, request
from pydantic import ValidationError

from churn_service.predict import load_predictor
from churn_service.project import project
from churn_service.remote import open_registry
from churn_service.schema import Customer
from churn_service.signing import read_public_key
from churn_service.workspace import open_workspace

ROOT = Path(__file__).parents[1]
app = Flask(__name__)
work = open_workspace(project, ROOT / "config.yaml")
public_key = read_public_key(work.settings.public_key)
registry = open_registry(work.config.registry, work.root, public_key=public_key)
predictor = load_predictor(registry.find(), project, public_key=public_key)


@app.post("/churn")
def churn() -> tuple[dict[str, Any], int]:
    """Predict one customer's churn."""
    try:
        customer = Customer.model_validate_json(request.get_data())
    except ValidationError as error:
        return {"errors": error.errors(include_url=False, include_input=False, include_context=False)}, 422
    (decision,) = predictor.predict([customer])
    return {**decision._asdict(), "model_version": predictor.version}, 200
