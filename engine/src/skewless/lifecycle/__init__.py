"""Which version answers: gate, promotion, rollback and retraining."""
