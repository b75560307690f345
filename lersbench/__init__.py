"""lersbench: replay logs past bandit recommenders before the A/B test."""

__version__ = "0.1.0"
