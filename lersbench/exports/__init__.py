"""Results for other tools: tidy tables of text, MLflow, Weights & Biases."""
