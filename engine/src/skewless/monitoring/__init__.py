"""What was answered and what became of it: prediction log, drift, outcomes, reports."""
