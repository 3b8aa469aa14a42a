"""Data sets, split into training, test and validation sets."""

from .idx_files import DataError as DataError
from .images import digits as digits
from .images import idx as idx
from .images import mnist as mnist
from .splits import Data as Data
from .splits import Split as Split
from .toys import regression as regression
from .toys import two_moons as two_moons
from .toys import xor as xor
