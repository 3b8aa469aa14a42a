"""The published work that `eqprop` rests on, as BibTeX, and what rests on which entry.

`eqprop.citation` looks for a module of this name in the package of whatever it is asked to cite,
and reads `BIBTEX`, `SOURCES` and `FURTHER` from it; keys of other packages' entries may be used.
"""

from collections.abc import Callable
from typing import Any

SOURCES: dict[str, tuple[str, ...]] = {
    "eqprop.Activation": (),
    "eqprop.Attention": ("ramsauer2021",),
    "eqprop.AveragePooling": (),
    "eqprop.BlockNewton": ("scellier2024",),
    "eqprop.Connection": (),
    "eqprop.Convolution": ("ernoult2019",),
    "eqprop.CoupledLearning": ("stern2021",),
    "eqprop.CoupledLearning.contrastive": ("stern2021", "movellan1991"),
    "eqprop.Dense": (),
    "eqprop.EqProp": ("scellier2017",),
    "eqprop.EqProp.centred": ("scellier2017", "laborieux2021"),
    "eqprop.Estimator": (),
    "eqprop.GradientFlow": ("kidger2021",),
    "eqprop.HardSigmoid": ("scellier2017",),
    "eqprop.Holomorphic": ("laborieux2022",),
    "eqprop.Hopfield": ("scellier2017",),
    "eqprop.Implicit": (),
    "eqprop.Ising": ("wang2013", "leleu2019"),
    "eqprop.Langevin": ("leimkuhler2013",),
    "eqprop.LocallyConnected": (),
    "eqprop.MaxPooling": ("laborieux2021",),
    "eqprop.Oscillators": ("wang2024",),
    "eqprop.Pooling": (),
    "eqprop.ReLU6": (),
    "eqprop.Resistive": ("millar1951", "kendall2020"),
    "eqprop.Sigmoid": (),
    "eqprop.Springs": ("stern2021",),
    "eqprop.Tanh": (),
    "eqprop.Thermal": (),
    "eqprop.Traces": ("ernoult2019",),
    "eqprop.Unrolled": (),
    "eqprop.digits": ("alpaydin1998", "pedregosa2011"),
    "eqprop.mnist": ("lecun1998",),
    "eqprop.traces": ("ernoult2019",),
    "eqprop.trajectory": ("kidger2021", "tsitouras2011"),
    "eqprop.two_moons": ("pedregosa2011",),
    "diffrax": ("kidger2021",),
    "diffrax.Kvaerno3": ("kvaerno2004",),
    "diffrax.Kvaerno4": ("kvaerno2004",),
    "diffrax.Kvaerno5": ("kvaerno2004",),
    "diffrax.Tsit5": ("tsitouras2011",),
    "lineax": ("rader2023",),
    "optax": ("deepmind2020",),
    "optax.scale_by_adam": ("kingma2015",),
}
"""The keys of the entries behind a class, a function or a package, by its package and its name.

None where it is the toolkit's own.
"""

FURTHER: dict[str, Callable[[Any], str | None]] = {
    "eqprop.EqProp": lambda estimator: (
        "eqprop.EqProp.centred" if estimator.stencil.order == 2 else None
    ),
    "eqprop.CoupledLearning": lambda estimator: (
        "eqprop.CoupledLearning.contrastive" if estimator.stencil.nudges.tolist() == [1.0] else None
    ),
}
"""For some classes, by which name of `SOURCES` an object of it is also known."""

BIBTEX = r"""
@misc{eqprop_circuits,
  title = {eqprop and circuits: equilibrium propagation for any energy, and resistive circuits that
           learn by it},
  author = {{The eqprop-circuits authors}},
  note = {Software, version 0.1.0, Apache-2.0},
}

@misc{alpaydin1998,
  title = {Optical Recognition of Handwritten Digits},
  author = {Alpaydin, E. and Kaynak, C.},
  year = {1998},
  howpublished = {UCI Machine Learning Repository},
  doi = {10.24432/C50P49},
}

@misc{deepmind2020,
  title = {The {DeepMind} {JAX} Ecosystem},
  author = {DeepMind and Babuschkin, Igor and Baumli, Kate and Bell, Alison and Bhupatiraju, Surya
            and Bruce, Jake and Buchlovsky, Peter and Budden, David and Cai, Trevor and Clark, Aidan
            and Danihelka, Ivo and Dedieu, Antoine and Fantacci, Claudio and Godwin, Jonathan and
            Jones, Chris and Hemsley, Ross and Hennigan, Tom and Hessel, Matteo and Hou, Shaobo and
            Kapturowski, Steven and Keck, Thomas and Kemaev, Iurii and King, Michael and Kunesch,
            Markus and Martens, Lena and Merzic, Hamza and Mikulik, Vladimir and Norman, Tamara and
            Papamakarios, George and Quan, John and Ring, Roman and Ruiz, Francisco and Sanchez,
            Alvaro and Sartran, Laurent and Schneider, Rosalia and Sezener, Eren and Spencer,
            Stephen and Srinivasan, Srivatsan and Stanojevi{\'c}, Milo{\v{s}} and Stokowiec,
            Wojciech and Wang, Luyu and Zhou, Guangyao and Viola, Fabio},
  year = {2020},
  url = {http://github.com/google-deepmind},
}

@inproceedings{ernoult2019,
  title = {Updates of Equilibrium Prop Match Gradients of Backprop Through Time in an {RNN} with
           Static Input},
  author = {Ernoult, Maxence and Grollier, Julie and Querlioz, Damien and Bengio, Yoshua and
            Scellier, Benjamin},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {32},
  year = {2019},
  eprint = {1905.13633},
  archiveprefix = {arXiv},
}

@misc{kendall2020,
  title = {Training End-to-End Analog Neural Networks with Equilibrium Propagation},
  author = {Kendall, Jack and Pantone, Ross and Manickavasagam, Kalpana and Bengio, Yoshua and
            Scellier, Benjamin},
  year = {2020},
  eprint = {2006.01981},
  archiveprefix = {arXiv},
}

@phdthesis{kidger2021,
  title = {On Neural Differential Equations},
  author = {Kidger, Patrick},
  school = {University of Oxford},
  year = {2021},
  eprint = {2202.02435},
  archiveprefix = {arXiv},
}

@inproceedings{kingma2015,
  title = {Adam: A Method for Stochastic Optimization},
  author = {Kingma, Diederik P. and Ba, Jimmy},
  booktitle = {International Conference on Learning Representations},
  year = {2015},
  eprint = {1412.6980},
  archiveprefix = {arXiv},
}

@article{kvaerno2004,
  title = {Singly Diagonally Implicit {Runge--Kutta} Methods with an Explicit First Stage},
  author = {Kv{\ae}rn{\o}, Anne},
  journal = {BIT Numerical Mathematics},
  volume = {44},
  number = {3},
  pages = {489--502},
  year = {2004},
  doi = {10.1023/B:BITN.0000046811.70614.38},
}

@article{laborieux2021,
  title = {Scaling Equilibrium Propagation to Deep {ConvNets} by Drastically Reducing Its Gradient
           Estimator Bias},
  author = {Laborieux, Axel and Ernoult, Maxence and Scellier, Benjamin and Bengio, Yoshua and
            Grollier, Julie and Querlioz, Damien},
  journal = {Frontiers in Neuroscience},
  volume = {15},
  pages = {633674},
  year = {2021},
  doi = {10.3389/fnins.2021.633674},
}

@inproceedings{laborieux2022,
  title = {Holomorphic Equilibrium Propagation Computes Exact Gradients Through Finite Size
           Oscillations},
  author = {Laborieux, Axel and Zenke, Friedemann},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {35},
  pages = {12950--12963},
  year = {2022},
  eprint = {2209.00530},
  archiveprefix = {arXiv},
}

@article{lecun1998,
  title = {Gradient-Based Learning Applied to Document Recognition},
  author = {LeCun, Yann and Bottou, L{\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE},
  volume = {86},
  number = {11},
  pages = {2278--2324},
  year = {1998},
  doi = {10.1109/5.726791},
}

@article{leimkuhler2013,
  title = {Rational Construction of Stochastic Numerical Methods for Molecular Sampling},
  author = {Leimkuhler, Benedict and Matthews, Charles},
  journal = {Applied Mathematics Research eXpress},
  volume = {2013},
  number = {1},
  pages = {34--56},
  year = {2013},
  doi = {10.1093/amrx/abs010},
}

@article{leleu2019,
  title = {Destabilization of Local Minima in Analog Spin Systems by Correction of Amplitude
           Heterogeneity},
  author = {Leleu, Timoth{\'e}e and Yamamoto, Yoshihisa and McMahon, Peter L. and Aihara, Kazuyuki},
  journal = {Physical Review Letters},
  volume = {122},
  pages = {040607},
  year = {2019},
  doi = {10.1103/PhysRevLett.122.040607},
}

@article{millar1951,
  title = {Some general theorems for non-linear systems possessing resistance},
  author = {Millar, William},
  journal = {The London, Edinburgh, and Dublin Philosophical Magazine and Journal of Science},
  volume = {42},
  number = {333},
  pages = {1150--1160},
  year = {1951},
  doi = {10.1080/14786445108561361},
}

@inproceedings{movellan1991,
  title = {Contrastive {Hebbian} Learning in the Continuous {Hopfield} Model},
  author = {Movellan, Javier R.},
  booktitle = {Connectionist Models: Proceedings of the 1990 Summer School},
  publisher = {Morgan Kaufmann},
  pages = {10--17},
  year = {1991},
}

@article{pedregosa2011,
  title = {Scikit-learn: Machine Learning in {Python}},
  author = {Pedregosa, F. and Varoquaux, G. and Gramfort, A. and Michel, V. and Thirion, B. and
            Grisel, O. and Blondel, M. and Prettenhofer, P. and Weiss, R. and Dubourg, V. and
            Vanderplas, J. and Passos, A. and Cournapeau, D. and Brucher, M. and Perrot, M. and
            Duchesnay, E.},
  journal = {Journal of Machine Learning Research},
  volume = {12},
  pages = {2825--2830},
  year = {2011},
}

@misc{rader2023,
  title = {Lineax: unified linear solves and linear least-squares in {JAX} and {Equinox}},
  author = {Rader, Jason and Lyons, Terry and Kidger, Patrick},
  year = {2023},
  eprint = {2311.17283},
  archiveprefix = {arXiv},
}

@inproceedings{ramsauer2021,
  title = {Hopfield Networks is All You Need},
  author = {Ramsauer, Hubert and Sch{\"a}fl, Bernhard and Lehner, Johannes and Seidl, Philipp and
            Widrich, Michael and Gruber, Lukas and Holzleitner, Markus and Adler, Thomas and Kreil,
            David and Kopp, Michael K. and Klambauer, G{\"u}nter and Brandstetter, Johannes and
            Hochreiter, Sepp},
  booktitle = {International Conference on Learning Representations},
  year = {2021},
  eprint = {2008.02217},
  archiveprefix = {arXiv},
}

@article{scellier2017,
  title = {Equilibrium Propagation: Bridging the Gap between Energy-Based Models and
           Backpropagation},
  author = {Scellier, Benjamin and Bengio, Yoshua},
  journal = {Frontiers in Computational Neuroscience},
  volume = {11},
  pages = {24},
  year = {2017},
  doi = {10.3389/fncom.2017.00024},
}

@inproceedings{scellier2024,
  title = {A Fast Algorithm to Simulate Nonlinear Resistive Networks},
  author = {Scellier, Benjamin},
  booktitle = {Proceedings of the 41st International Conference on Machine Learning},
  series = {Proceedings of Machine Learning Research},
  volume = {235},
  pages = {43477--43503},
  year = {2024},
  eprint = {2402.11674},
  archiveprefix = {arXiv},
}

@article{stern2021,
  title = {Supervised Learning in Physical Networks: From Machine Learning to Learning Machines},
  author = {Stern, Menachem and Hexner, Daniel and Rocks, Jason W. and Liu, Andrea J.},
  journal = {Physical Review X},
  volume = {11},
  pages = {021045},
  year = {2021},
  doi = {10.1103/PhysRevX.11.021045},
}

@article{tsitouras2011,
  title = {{Runge--Kutta} Pairs of Order 5(4) Satisfying Only the First Column Simplifying
           Assumption},
  author = {Tsitouras, Ch.},
  journal = {Computers \& Mathematics with Applications},
  volume = {62},
  number = {2},
  pages = {770--775},
  year = {2011},
  doi = {10.1016/j.camwa.2011.06.002},
}

@article{wang2013,
  title = {Coherent {Ising} Machine Based on Degenerate Optical Parametric Oscillators},
  author = {Wang, Zhe and Marandi, Alireza and Wen, Kai and Byer, Robert L. and Yamamoto,
            Yoshihisa},
  journal = {Physical Review A},
  volume = {88},
  pages = {063853},
  year = {2013},
  doi = {10.1103/PhysRevA.88.063853},
}

@article{wang2024,
  title = {Training Coupled Phase Oscillators as a Neuromorphic Platform Using Equilibrium
           Propagation},
  author = {Wang, Qingshan and Wanjura, Clara C. and Marquardt, Florian},
  journal = {Neuromorphic Computing and Engineering},
  volume = {4},
  number = {3},
  pages = {034014},
  year = {2024},
  doi = {10.1088/2634-4386/ad752b},
  eprint = {2402.08579},
  archiveprefix = {arXiv},
}
"""
