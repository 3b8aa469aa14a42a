"""Gradient estimators: how a batch of phases becomes the gradient of the mean cost with respect to an energy's parameters."""

from .base import ContrastEstimator as ContrastEstimator
from .base import Estimate as Estimate
from .base import Estimator as Estimator
from .bounds import NudgeError as NudgeError
from .bounds import nudge_bound as nudge_bound
from .bounds import require_convex as require_convex
from .contrast import CoupledLearning as CoupledLearning
from .contrast import EqProp as EqProp
from .exact import Implicit as Implicit
from .exact import Traces as Traces
from .exact import Unrolled as Unrolled
from .exact import traces as traces
from .holomorphic import Holomorphic as Holomorphic
from .thermal import Thermal as Thermal
