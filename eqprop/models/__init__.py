"""Ready-made energies."""

from .attention import Attention as Attention
from .connections import AveragePooling as AveragePooling
from .connections import Connection as Connection
from .connections import Convolution as Convolution
from .connections import Dense as Dense
from .connections import LocallyConnected as LocallyConnected
from .connections import MaxPooling as MaxPooling
from .connections import Pooling as Pooling
from .hopfield import Activation as Activation
from .hopfield import HardSigmoid as HardSigmoid
from .hopfield import Hopfield as Hopfield
from .hopfield import ReLU6 as ReLU6
from .hopfield import Sigmoid as Sigmoid
from .hopfield import Tanh as Tanh
from .ising import Ising as Ising
from .oscillators import Oscillators as Oscillators
from .resistive import Resistive as Resistive
from .spring import Springs as Springs
