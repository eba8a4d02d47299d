"""Proofs: estimators against exact gradients, the code that trains against NumPy, and a diagnosis of your own.

pgrad.verify.run()                              # what `pgrad verify` prints
pgrad.verify.diagnose_estimator(my_function)    # right, a known mistake, or how far off
pgrad.verify.from_surrogate(f)                  # such a function, from f(log_probs, returns)
"""

from pgrad.verify.diagnosis import Diagnosis, diagnose_estimator
from pgrad.verify.report import Report, run
from pgrad.verify.surrogate import from_surrogate
from pgrad.verify.zoo import ZOO, Mistake

__all__ = ["ZOO", "Diagnosis", "Mistake", "Report", "diagnose_estimator", "from_surrogate", "run"]
