"""Policies that are made of the parts of another one: to play them, which compiles a loop for each, is left to
`make test-slow` and `make test-cpus`.

Their formulas are held against naive twins in the fast tests, as those of all policies are.
"""

SIBLINGS = {  # the policy that is played in the fast tests has the same learner
    "cascade-linucb": "pbm-linucb",
    "iba-linucb-sw": "iba-linucb",
    "pbm-pie": "pbm-ucb",
    "pbm-ts": "pbm-ucb",
    "rba-exp3": "iba-exp3",
    "rba-linucb": "iba-linucb",
    "rba-ucb1": "iba-ucb1",
    "ubm-linucb": "pbm-linucb",
}
