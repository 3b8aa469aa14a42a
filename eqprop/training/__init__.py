"""Training by any estimator: the loop, many seeds at once, checkpoints, errors that name a step."""

from .checkpoints import CheckpointError as CheckpointError
from .diagnosis import TrainingError as TrainingError
from .loop import Fit as Fit
from .loop import fit as fit
from .patterns import paths as paths
from .seeds import Fits as Fits
from .seeds import fit_seeds as fit_seeds
