"""Proofs: every estimator against exact gradients, and what is wrong with yours.

pgrad.verify.run()                              # what `pgrad verify` prints
pgrad.verify.diagnose_estimator(my_function)    # right, or which known mistake, or by how much it is off
"""

from pgrad.verify.diagnosis import Diagnosis, diagnose_estimator
from pgrad.verify.report import Report, run
from pgrad.verify.zoo import ZOO, Mistake

__all__ = ["ZOO", "Diagnosis", "Mistake", "Report", "diagnose_estimator", "run"]
