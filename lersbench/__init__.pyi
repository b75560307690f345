from lersbench.api import draw as draw
from lersbench.api import evaluate as evaluate
from lersbench.api import from_decisions as from_decisions
from lersbench.api import from_impressions as from_impressions
from lersbench.api import load_results as load_results
from lersbench.api import replay as replay
from lersbench.api import run as run
from lersbench.api import write_report as write_report
from lersbench.kernels.jit import kernel as kernel
from lersbench.log import Log as Log
from lersbench.log import validate as validate
from lersbench.log import write as write_log
from lersbench.policy import KernelPolicy as KernelPolicy
from lersbench.policy import Policy as Policy
from lersbench.policy import Round as Round
from lersbench.policy import Spec as Spec
from lersbench.policy import load as load_policy
from lersbench.policy import names as policy_names
from lersbench.results.ranked import Results as Results
from lersbench.testing.checks import check as check_policy

__version__: str
__all__ = [
    "KernelPolicy",
    "Log",
    "Policy",
    "Results",
    "Round",
    "Spec",
    "check_policy",
    "draw",
    "evaluate",
    "from_decisions",
    "from_impressions",
    "kernel",
    "load_policy",
    "load_results",
    "policy_names",
    "replay",
    "run",
    "validate",
    "write_log",
    "write_report",
]
