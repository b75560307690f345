"""lersbench: replay logs past bandit recommenders before the A/B test. `import lersbench as lb`.

lb.replay(policies, log)        one comparison, in memory
lb.evaluate(log, policies)      what policies would have earned in the place of the one that wrote the log
lb.run("active", add=[mine])    a scenario, kept on disk
lb.from_impressions(frame)      a log from a pandas frame; lb.write_log from arrays; lb.Log from disk
lb.Policy, lb.KernelPolicy      what a policy of your own is made of, with lb.Spec, lb.Round and lb.kernel

Every name is imported when it is first asked for.
"""

__version__ = "0.1.0"

_NAMES = {  # name: where it stands, "module" or "module:name there"
    "KernelPolicy": "lersbench.policy",
    "Log": "lersbench.log",
    "Policy": "lersbench.policy",
    "Results": "lersbench.results.ranked",
    "Round": "lersbench.policy",
    "Spec": "lersbench.policy",
    "check_policy": "lersbench.testing.checks:check",
    "draw": "lersbench.api",
    "evaluate": "lersbench.api",
    "from_decisions": "lersbench.api",
    "from_impressions": "lersbench.api",
    "kernel": "lersbench.kernels.jit",
    "load_policy": "lersbench.policy:load",
    "load_results": "lersbench.api",
    "policy_names": "lersbench.policy:names",
    "replay": "lersbench.api",
    "run": "lersbench.api",
    "validate": "lersbench.log",
    "write_log": "lersbench.log:write",
    "write_report": "lersbench.api",
}
__all__ = list(_NAMES)


def __getattr__(name):
    """The object behind a name of `_NAMES`. No import statement names its module: sources.closure would follow that."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _NAMES[name].partition(":")
    value = globals()[name] = getattr(__import__(module, fromlist=["*"]), there or name)
    return value


def __dir__():
    return [*_NAMES, "__version__"]
