"""Gradient estimators: from settled phases of a batch to the gradient of the mean cost."""

from .base import Estimate as Estimate
from .base import Estimator as Estimator
from .bounds import NudgeError as NudgeError
from .bounds import nudge_bound as nudge_bound
from .bounds import require_convex as require_convex
from .contrast import ContrastEstimator as ContrastEstimator
from .contrast import EqProp as EqProp
from .contrast import Stencil as Stencil
from .coupled import CoupledLearning as CoupledLearning
from .exact import Implicit as Implicit
from .holomorphic import Holomorphic as Holomorphic
from .thermal import Thermal as Thermal
from .unrolled import Traces as Traces
from .unrolled import Unrolled as Unrolled
from .unrolled import traces as traces
