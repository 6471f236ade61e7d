"""`python -m churn_service` is `churn-service`."""

from churn_service.cli import main

main()
