"""Room predictors."""
