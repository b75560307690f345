"""Off-policy evaluation: policies that did not run, judged by a log that another one wrote."""
