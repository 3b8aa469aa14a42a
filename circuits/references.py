"""The published work behind `circuits`, read by `eqprop.citation`.

`eqprop.references` says how. Keys without an entry here are those of `eqprop`'s entries.
"""

from collections.abc import Callable
from typing import Any

SOURCES: dict[str, tuple[str, ...]] = {
    "circuits.Biolek": ("biolek2009",),
    "circuits.CircuitEnergy": ("millar1951",),
    "circuits.Curve": (),
    "circuits.Device": (),
    "circuits.DiodePair": ("kendall2020",),
    "circuits.IdealDiodes": ("scellier2024",),
    "circuits.IdealPair": ("kendall2020",),
    "circuits.IonDrift": ("strukov2008",),
    "circuits.Joglekar": ("joglekar2009",),
    "circuits.DiodeModel": ("nagel1975",),
    "circuits.Memristor": (),
    "circuits.MemristorModel": (),
    "circuits.MosfetModel": ("shichman1968",),
    "circuits.Ngspice": ("ngspice",),
    "circuits.NgspiceShared": ("ngspice", "pyspice"),
    "circuits.Nodal": ("nagel1975", "kidger2021"),
    "circuits.Rectangular": ("strukov2008",),
    "circuits.SingleDiode": ("scellier2024",),
    "circuits.SpiceEqProp": ("scellier2017",),
    "circuits.SpiceEqProp.centred": ("scellier2017", "laborieux2021"),
    "circuits.StanfordRRAM": ("guan2012", "chen2015compact"),
    "circuits.ThresholdMismatch": ("pelgrom1989",),
    "circuits.VTEAM": ("kvatinsky2015",),
    "circuits.Window": (),
    "circuits.Yakopcic": ("yakopcic2011", "yakopcic2013"),
    "circuits.ZenerDiode": (),
    "circuits.amplifier": ("kendall2020",),
    "circuits.covariance": ("gardiner2004",),
    "circuits.ecram_tang2018": ("tang2018",),
    "circuits.energy": ("millar1951",),
    "circuits.from_pyspice": ("pyspice",),
    "circuits.lognormal": (),
    "circuits.pcm_nandakumar2019": ("nandakumar2018", "nandakumar2019"),
    "circuits.program": ("hochbruck2010",),
    "circuits.pulse": ("hochbruck2010",),
    "circuits.rpu_gokmen2016": ("gokmen2016",),
    "circuits.rram_milo2021": ("milo2021",),
    "circuits.rram_wan2022": ("wan2022",),
    "circuits.stuck_chen2015": ("chen2015",),
    "circuits.twins": ("stern2021", "dillavou2022"),
    "circuits.write_verify": ("hochbruck2010",),
}
"""Keys of the entries behind a class or a function; none where it is the toolkit's own."""

FURTHER: dict[str, Callable[[Any], str | None]] = {
    "circuits.Preset": lambda preset: "circuits." + preset.name.partition("@")[0].replace("-", "_"),
    "circuits.SpiceEqProp": lambda estimator: (
        "circuits.SpiceEqProp.centred" if estimator.stencil.order == 2 else None
    ),
}
"""For some classes, a function of an object that returns a further name of it in `SOURCES`."""

BIBTEX = r"""
@article{biolek2009,
  title = {{SPICE} Model of Memristor with Nonlinear Dopant Drift},
  author = {Biolek, Zden{\v{e}}k and Biolek, Dalibor and Biolkov{\'a}, Viera},
  journal = {Radioengineering},
  volume = {18},
  number = {2},
  pages = {210--214},
  year = {2009},
}

@article{chen2015,
  title = {{RRAM} Defect Modeling and Failure Analysis Based on March Test and a Novel
           Squeeze-Search Scheme},
  author = {Chen, Ching-Yi and Shih, Hsiu-Chuan and Wu, Cheng-Wen and Lin, Chih-He and Chiu, Pi-Feng
            and Sheu, Shyh-Shyuan and
            Chen, Frederick T.},
  journal = {IEEE Transactions on Computers},
  volume = {64},
  number = {1},
  pages = {180--190},
  year = {2015},
  doi = {10.1109/TC.2014.12},
}

@article{chen2015compact,
  title = {Compact Modeling of {RRAM} Devices and Its Applications in {1T1R} and {1S1R} Array
           Design},
  author = {Chen, Pai-Yu and Yu, Shimeng},
  journal = {IEEE Transactions on Electron Devices},
  volume = {62},
  number = {12},
  pages = {4022--4028},
  year = {2015},
}

@article{dillavou2022,
  title = {Demonstration of Decentralized Physics-Driven Learning},
  author = {Dillavou, Sam and Stern, Menachem and Liu, Andrea J. and Durian, Douglas J.},
  journal = {Physical Review Applied},
  volume = {18},
  pages = {014040},
  year = {2022},
  doi = {10.1103/PhysRevApplied.18.014040},
}

@book{gardiner2004,
  title = {Handbook of Stochastic Methods for Physics, Chemistry and the Natural Sciences},
  author = {Gardiner, Crispin W.},
  edition = {3rd},
  publisher = {Springer},
  year = {2004},
}

@article{gokmen2016,
  title = {Acceleration of Deep Neural Network Training with Resistive Cross-Point Devices: Design
           Considerations},
  author = {Gokmen, Tayfun and Vlasov, Yurii},
  journal = {Frontiers in Neuroscience},
  volume = {10},
  pages = {333},
  year = {2016},
  doi = {10.3389/fnins.2016.00333},
}

@article{guan2012,
  title = {A {SPICE} Compact Model of Metal Oxide Resistive Switching Memory With Variations},
  author = {Guan, Ximeng and Yu, Shimeng and Wong, H.-S. Philip},
  journal = {IEEE Electron Device Letters},
  volume = {33},
  number = {10},
  pages = {1405--1407},
  year = {2012},
  doi = {10.1109/LED.2012.2210856},
}

@article{hochbruck2010,
  title = {Exponential Integrators},
  author = {Hochbruck, Marlis and Ostermann, Alexander},
  journal = {Acta Numerica},
  volume = {19},
  pages = {209--286},
  year = {2010},
  doi = {10.1017/S0962492910000048},
}

@article{joglekar2009,
  title = {The Elusive Memristor: Properties of Basic Electrical Circuits},
  author = {Joglekar, Yogesh N. and Wolf, Stephen J.},
  journal = {European Journal of Physics},
  volume = {30},
  number = {4},
  pages = {661--675},
  year = {2009},
  doi = {10.1088/0143-0807/30/4/001},
}

@article{kvatinsky2015,
  title = {{VTEAM}: A General Model for Voltage-Controlled Memristors},
  author = {Kvatinsky, Shahar and Ramadan, Misbah and Friedman, Eby G. and Kolodny, Avinoam},
  journal = {IEEE Transactions on Circuits and Systems II: Express Briefs},
  volume = {62},
  number = {8},
  pages = {786--790},
  year = {2015},
  doi = {10.1109/TCSII.2015.2433536},
}

@inproceedings{milo2021,
  title = {Optimized Programming Algorithms for Multilevel {RRAM} in Hardware Neural Networks},
  author = {Milo, Valerio and Anzalone, Francesco and Zambelli, Cristian and P{\'e}rez, Eduardo and
            Mahadevaiah, Mamathamba Kalishettyhalli and Ossorio, {\'O}scar G. and Olivo, Piero and
            Wenger, Christian and
            Ielmini, Daniele},
  booktitle = {IEEE International Reliability Physics Symposium},
  year = {2021},
  doi = {10.1109/IRPS46558.2021.9405119},
}

@techreport{nagel1975,
  title = {{SPICE2}: A Computer Program to Simulate Semiconductor Circuits},
  author = {Nagel, Laurence W.},
  institution = {University of California, Berkeley},
  number = {UCB/ERL M520},
  year = {1975},
}

@article{nandakumar2018,
  title = {A Phase-Change Memory Model for Neuromorphic Computing},
  author = {Nandakumar, S. R. and Le Gallo, Manuel and Boybat, Irem and Rajendran, Bipin and
            Sebastian, Abu and
            Eleftheriou, Evangelos},
  journal = {Journal of Applied Physics},
  volume = {124},
  pages = {152135},
  year = {2018},
  doi = {10.1063/1.5042408},
}

@inproceedings{nandakumar2019,
  title = {Phase-Change Memory Models for Deep Learning Training and Inference},
  author = {Nandakumar, S. R. and Boybat, Irem and Joshi, Vinay and Piveteau, Christophe and Le
            Gallo, Manuel and
            Rajendran, Bipin and Sebastian, Abu and Eleftheriou, Evangelos},
  booktitle = {IEEE International Conference on Electronics, Circuits and Systems},
  pages = {727--730},
  year = {2019},
  doi = {10.1109/ICECS46596.2019.8964852},
}

@misc{ngspice,
  title = {ngspice, an open source {SPICE} simulator},
  author = {{The ngspice team}},
  url = {https://ngspice.sourceforge.io},
}

@article{pelgrom1989,
  title = {Matching Properties of {MOS} Transistors},
  author = {Pelgrom, Marcel J. M. and Duinmaijer, Aad C. J. and Welbers, Anton P. G.},
  journal = {IEEE Journal of Solid-State Circuits},
  volume = {24},
  number = {5},
  pages = {1433--1439},
  year = {1989},
  doi = {10.1109/JSSC.1989.572629},
}

@misc{pyspice,
  title = {{PySpice}},
  author = {Salvaire, Fabrice},
  url = {https://pyspice.fabrice-salvaire.fr},
}

@article{shichman1968,
  title = {Modeling and Simulation of Insulated-Gate Field-Effect Transistor Switching Circuits},
  author = {Shichman, H. and Hodges, D. A.},
  journal = {IEEE Journal of Solid-State Circuits},
  volume = {3},
  number = {3},
  pages = {285--289},
  year = {1968},
  doi = {10.1109/JSSC.1968.1049902},
}

@article{strukov2008,
  title = {The Missing Memristor Found},
  author = {Strukov, Dmitri B. and Snider, Gregory S. and Stewart, Duncan R. and Williams, R.
            Stanley},
  journal = {Nature},
  volume = {453},
  pages = {80--83},
  year = {2008},
  doi = {10.1038/nature06932},
}

@inproceedings{tang2018,
  title = {{ECRAM} as Scalable Synaptic Cell for High-Speed, Low-Power Neuromorphic Computing},
  author = {Tang, Jianshi and Bishop, Douglas and Kim, Seyoung and Copel, Matt and Gokmen, Tayfun
            and Todorov, Teodor and
            Shin, SangHoon and Lee, Ko-Tao and Solomon, Paul and Chan, Kevin and Haensch, Wilfried
            and Rozen, John},
  booktitle = {IEEE International Electron Devices Meeting},
  pages = {13.1.1--13.1.4},
  year = {2018},
  doi = {10.1109/IEDM.2018.8614551},
}

@article{wan2022,
  title = {A Compute-in-Memory Chip Based on Resistive Random-Access Memory},
  author = {Wan, Weier and Kubendran, Rajkumar and Schaefer, Clemens and Eryilmaz, Sukru Burc and
            Zhang, Wenqiang and Wu, Dabin and
            Deiss, Stephen and Raina, Priyanka and Qian, He and Gao, Bin and Joshi, Siddharth and
            Wu, Huaqiang and
            Wong, H.-S. Philip and Cauwenberghs, Gert},
  journal = {Nature},
  volume = {608},
  pages = {504--512},
  year = {2022},
  doi = {10.1038/s41586-022-04992-8},
}

@article{yakopcic2011,
  title = {A Memristor Device Model},
  author = {Yakopcic, Chris and Taha, Tarek M. and Subramanyam, Guru and Pino, Robinson E. and
            Rogers, Stanley},
  journal = {IEEE Electron Device Letters},
  volume = {32},
  number = {10},
  pages = {1436--1438},
  year = {2011},
  doi = {10.1109/LED.2011.2163292},
}

@article{yakopcic2013,
  title = {Generalized Memristive Device {SPICE} Model and its Application in Circuit Design},
  author = {Yakopcic, Chris and Taha, Tarek M. and Subramanyam, Guru and Pino, Robinson E.},
  journal = {IEEE Transactions on Computer-Aided Design of Integrated Circuits and Systems},
  volume = {32},
  number = {8},
  pages = {1201--1214},
  year = {2013},
  doi = {10.1109/TCAD.2013.2252057},
}
"""
