"""Memristors: their models, their place in a circuit, and how pulses program them."""

from .base import Laws as Laws
from .base import Memristor as Memristor
from .base import MemristorModel as MemristorModel
from .hysteresis import hysteresis as hysteresis
from .hysteresis import separation as separation
from .models import VTEAM as VTEAM
from .models import Biolek as Biolek
from .models import IonDrift as IonDrift
from .models import Joglekar as Joglekar
from .models import Rectangular as Rectangular
from .models import StanfordRRAM as StanfordRRAM
from .models import Window as Window
from .models import Yakopcic as Yakopcic
from .programming import Staircase as Staircase
from .programming import Written as Written
from .programming import program as program
from .programming import pulse as pulse
from .programming import write_verify as write_verify
