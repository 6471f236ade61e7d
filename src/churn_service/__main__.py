"""`python -m churn_service` is `churn-service`."""

from churn_service.cli import main

if __name__ == "__main__":  # and not when a worker process imports it
    main()
