"""Decks over every construct that is read, each against plain ngspice, in both simulators.

Plain ngspice runs the text as it stands, with tight options. `Nodal` answers operating points
and responses at once, as subcircuits of one deck, so that one program is compiled for them.
"""

import re
import subprocess
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.tiers import IN_FULL

import circuits
from circuits.commands.analyses import Table, simulate
from circuits.netlist.netlist import OPTIONS
from circuits.simulators.ngspice_options import TRANSIENT_OPTIONS
from circuits.spice import reference

POINTS = {
    # resistors
    "divider": "V1 a 0 3|R1 a b 1k|R2 b 0 2k",
    "suffixes": "V1 a 0 3|R1 a b 1kohm|R2 b c 0.002MEG|R3 c 0 4700m|R4 c 0 1.5e3 ; note",
    "mils": "V1 a 0 {4mil}|R1 a 0 4mil|V2 b 0 4mil|R2 b 0 1",
    "micro": "I1 0 a 5u|R1 a 0 1meg",
    "continued": "V1 a 0 3|R1 a|+ b|* between|+ 1k|R2 b 0 2k",
    "multiple resistors": "V1 a 0 3|R1 a b 1k m=2|R2 b 0 2k",
    "scaled resistor": "V1 a 0 3|R1 a b 1k scale=3|R2 b 0 2k",
    "warm resistor": "V1 a 0 3|R1 a b 1k temp=77 tc1=0.01|R2 b 0 2k",
    "warmer resistor": "V1 a 0 3|R1 a b 1k dtemp=10 tc1=0.01 tc2=1m|R2 b 0 2k",
    "coefficients": "V1 a 0 3|R1 a b 1k dtemp=10 tc=0.01 0.001|R2 b 0 2k",
    "resistor by name": "V1 a 0 3|R1 a b r=1k|R2 b 0 R = 2k|R3 b 0 resistance=5k",
    "resistor model": "V1 a 0 3|R1 a b mr 1k|R2 b 0 2k|.model mr r(tc1=0.01)",
    "value before a model": "V1 a 0 3|R1 a b 1k mr dtemp=5|R2 b 0 2k|.model mr r(tc1=0.01)",
    "sheet": "V1 a 0 3|R1 a b mr l=10u w=2u|R2 b 0 2k|.model mr r rsh=150 narrow=0.1u short=0.2u",
    "value of a model": "V1 a 0 3|R1 a b mr|R2 b 0 2k|.model mr res r=700",
    "zero ohms": "V1 a 0 3|R1 a b 0|R2 b c 1k|R3 c 0 2k",
    "negative resistor": "V1 a 0 3|R1 a b 1k|R2 b 0 -3k",
    "resistor of a voltage": "V1 a 0 3|V2 c 0 2|R1 a b 1k|R2 b 0 r={500+250*v(c)}",
    "quoted resistor of a voltage": "V1 a 0 3|R1 a b 1k|R2 b 0 r='1k+100*v(b)' m=2",
    "resistor of a current": "V1 a 0 3|R1 a b 1k|R2 b 0 {1k+abs(i(V1))*1meg}",
    "letters alone": "V a 0 3|R a b 1k|R2 b 0 2k",
    "slashes": "V1 /a 0 3|R1 /a /b/c 1k|R2 /b/c 0 2k|E1 d 0 /b/c 0 2|R3 d 0 1",
    "odd nodes": "V1 in+ 0 3|R1 in+ x.1 1k|R2 x.1 gnd 2k",
    "capacitor at rest": "V1 a 0 3|R1 a b 1k|R2 b 0 2k|C1 b 0 1u m=2 ic=1|C2 a b 0",
    "inductor at rest": "V1 a 0 3|R1 a b 1k|L1 b c 1m ic=1|R2 c 0 2k",
    "coupled at rest": "V1 a 0 3|R1 a b 1k|K1 L1 L2 0.5|L1 b c 1m|R2 c 0 2k|L2 d 0 2m|R3 d 0 1",
    # sources
    "dc before all": "V1 a 0 dc 3 ac 1 sin(0 1 1k)|R1 a 0 1k",
    "dc with =": "V1 a 0 dc=3 ac=1|R1 a 0 1k",
    "no value": "V1 a 0|R1 a b 1k|I1 0 b 1m|R2 b 0 1k",
    "ac alone": "V1 a 0 ac 1|I1 0 b dc 1m ac 2 90|R1 a b 1k|R2 b 0 1k",
    "waveform at 0": (
        "V1 a 0 sin(1 2 1k 0 0 30)|R1 a 0 1k|I1 0 b pulse(2m 5m 0 1u 1u 1m 2m)|R2 b 0 1k"
    ),
    "floating source": "V1 a 0 3|R1 a b 1k|V2 b c 0.5|R2 c 0 2k",
    "source upside down": "V1 0 a 3|R1 a b 1k|R2 b 0 2k",
    "current source": "I1 0 a 1m|R1 a 0 1k|I2 a 0 0.3m m=2",
    "bare parameters": ".param rv=2k vv={1+2}|V1 a 0 vv|R1 a b rv|R2 b 0 'rv/2'",
    "gain": "V1 a 0 2|R1 a 0 1k|E1 b 0 a 0 3|R2 b c 1k|R3 c 0 1k",
    "bracketed controls": "V1 a 0 2|R1 a 0 1k|E1 b 0 (a,0) 3|R2 b 0 1k|G1 0 c (a,b) 1m|R3 c 0 1k",
    "transconductance": "V1 a 0 2|R1 a 0 1k|G1 0 b a 0 1m m=2|R2 b 0 1k",
    "current gain": "V1 a 0 2|R1 a 0 1k|F1 b 0 V1 3 m=2|R2 b 0 1k",
    "transresistance": "V1 a 0 2|R1 a 0 1k|H1 b 0 V1 3k|R2 b 0 1k",
    "current of a resistor": "V1 a 0 2|R1 a b 1k|R2 b 0 1k|B1 c 0 V=i(R1)*1k|R3 c 0 1k",
    "current of a gain": "V1 a 0 2|R1 a 0 1k|E1 b 0 a 0 2|R2 b 0 1k|B1 c 0 V=i(E1)*100|R3 c 0 1",
    "poly of one": "V1 a 0 2|R1 a 0 1k|E1 b 0 POLY(1) a 0 1 2 3|R2 b 0 1k",
    "poly as a gain": "V1 a 0 2|R1 a 0 1k|E1 b 0 POLY(1) a 0 4|R2 b 0 1k",
    "poly of two": "V1 a 0 2|V2 c 0 3|R1 a c 1k|G1 0 b POLY(2) a 0 c 0 1m 2m 3m|R2 b 0 1k",
    "poly of two, squares": (
        "V1 a 0 2|V2 c 0 3|R1 a c 1k|E1 b 0 POLY(2) (a,0) (c,0) 1 2 3 4 5 6|R2 b 0 1k"
    ),
    "poly of three, squares": (
        "V1 a 0 2|V2 c 0 3|V3 d 0 0.5|R1 a c 1k|R3 d 0 1|"
        "E1 b 0 POLY(3) a 0 c 0 d 0 .1 .2 .3 .4 .5 .6 .7 .8 .9 1.1|R2 b 0 1k"
    ),
    "poly of currents": (
        "V1 a 0 2|V2 c 0 3|R1 a c 1k|R3 a 0 1k|F1 0 b POLY(2) V1 V2 1m 2 3|R2 b 0 1k|"
        "H1 d 0 POLY(1) V1 1 100|R4 d 0 1"
    ),
    "table": "V1 a 0 2|R1 a 0 1k|E1 b 0 TABLE {v(a)} = (0,0) (1,5) (3,6)|R2 b 0 1k",
    "table of a current": "V1 a 0 0.5|R1 a 0 1k|G1 b 0 TABLE {v(a)*2} (0,0) (2,5m)|R2 b 0 1k",
    "beyond a table": "V1 a 0 5|R1 a 0 1k|E1 b 0 TABLE {v(a)} = (0,0) (1,5) (3,6)|R2 b 0 1k",
    "value of an expression": "V1 a 0 2|R1 a 0 1k|E1 b 0 value={v(a)*2}|R2 b 0 1k",
    "value without =": "V1 a 0 2|R1 a 0 1k|E1 b 0 value {v(a)*2+1}|R2 b 0 1k",
    "vol and cur": (
        "V1 a 0 2|R1 a 0 1k|E1 b 0 vol='v(a)*2'|R2 b 0 1k|G1 0 c cur='v(a)*1m'|R3 c 0 1k"
    ),
    "behavioural voltage": "V1 a 0 2|R1 a 0 1k|B1 b 0 v=v(a)^2-i(V1)*100|R2 b 0 1k",
    "behavioural current": "V1 a 0 2|R1 a b 1k|B1 b 0 i=v(b)^3*1m|R2 b 0 1k",
    "behavioural factor": "V1 a 0 2|R1 a 0 1k|B1 b 0 v=v(a)*v(a) m=2|R2 b 0 1k",
    # expressions
    "not": "V1 a 0 1|R1 a 0 1k|B1 b 0 V=!(v(a)>2) ? 4 : 3|R2 b 0 1k",
    "ternary": "V1 a 0 1|R1 a 0 1k|B1 b 0 V=v(a)>2 ? 4 : v(a)<0 ? 5 : 6|R2 b 0 1k",
    "ternary function": "V1 a 0 {ternary_fcn(1>2, 3, 4)}|R1 a 0 1k",
    "rounding": (
        "V1 a 0 1.5|R1 a 0 1k|B1 b 0 V=floor(v(a))+10*ceil(v(a))+100*nint(v(a)+1)|R2 b 0 1k|"
        "V2 c 0 {int(-1.5)+nint(2.5)*10+floor(-1.2)*100+ceil(1.2)*1000}|R3 c 0 1k"
    ),
    "inverse hyperbolic": (
        "V1 a 0 0.5|R1 a 0 1k|B1 b 0 V=asinh(v(a))+acosh(v(a)+1)+atanh(v(a))|R2 b 0 1k"
    ),
    "steps": "V1 a 0 0.25|R1 a 0 1k|B1 b 0 V=u(v(a))+u2(v(a))+uramp(v(a))+sgn(-v(a))|R2 b 0 1k",
    "powers": "V1 a 0 -2|R1 a 0 1k|B1 b 0 V=v(a)^3+pow(v(a),2)+pwr(v(a),3)+v(a)**2|R2 b 0 1k",
    "logic": "V1 a 0 1|R1 a 0 1k|B1 b 0 V=(v(a)>0 && v(a)<2)+2*(v(a)==1 || v(a)!=1)|R2 b 0 1k",
    "pwl of a voltage": "V1 a 0 1.5|R1 a 0 1k|B1 b 0 V=pwl(v(a),0,0,1,2,2,1)|R2 b 0 1k",
    "temper": "V1 a 0 1|R1 a 0 1k|B1 b 0 V=temper/10|R2 b 0 1k",
    "time at rest": "V1 a 0 1|R1 a 0 1k|B1 b 0 V=v(a)+1000*time|R2 b 0 1k",
    "power of a negative": (
        ".param p={pow(-2,3)} q={(-2)**3}|V1 a 0 {p}|R1 a 0 1|V2 b 0 {q}|R2 b 0 1"
    ),
    "parameter functions": (
        "V1 a 0 {sqr(3)+sqrt(4)+exp(0)+ln(1)+abs(-1)+min(1,2)+max(3,4)+sgn(-3)+arctan(0)}|R1 a 0 1k"
    ),
    "square root": "V1 a 0 1|R1 a b 1k|B1 b 0 i=1m*sqrt(v(b))",
    # structure
    "function": ".func sq(x) {x*x}|V1 a 0 2|R1 a 0 1k|B1 b 0 V=sq(v(a))+1|R2 b 0 1k",
    "function of two": ".func f(x,y) {x*y+1}|V1 a 0 {f(2,3)}|R1 a 0 1k",
    "function of functions": ".func f(x) {x+1}|.func g(x) {f(x)*2}|V1 a 0 {g(3)}|R1 a 0 1k",
    "parameters of parameters": ".param c={a+b} a=1 b={a*2}|V1 x 0 {c}|R1 x 0 1k",
    "subcircuit": (
        "V1 a 0 3|X1 a b cell|X2 b 0 cell r=3k|.subckt cell p q params: r=1k|R1 p q {r}|.ends"
    ),
    "nested subcircuit": (
        "V1 a 0 3|X1 a b top|R3 b 0 1k|.subckt top p q|.subckt inner x y|R1 x y 1k|.ends inner|"
        "X1 p m inner|X2 m q inner|.ends top"
    ),
    "subcircuit in a subcircuit": (
        "V1 a 0 3|X1 a b two|R3 b 0 1k|.subckt two p q|X1 p m one|X2 m q one|.ends|"
        ".subckt one x y|R1 x y 500|.ends"
    ),
    "port gnd": "V1 a 0 3|R1 a b 1k|X1 b 0 cell|.subckt cell p gnd|R1 p gnd 2k|.ends",
    "current in a subcircuit": (
        "V1 a 0 3|X1 a b cell|.subckt cell p q|R1 p 0 1k|B1 q 0 v=1k*i(R1)|R2 q 0 1|.ends"
    ),
    "if": ".param k=2|V1 a 0 3|R1 a b 1k|.if (k>1)|R2 b 0 2k|.else|R2 b 0 1k|.endif",
    "elseif": (
        ".param k=2|V1 a 0 3|R1 a b 1k|.if (k==1)|R2 b 0 2k|.elseif (k==2)|R2 b 0 3k|.else|"
        "R2 b 0 1k|.endif"
    ),
    "nested if": (
        ".param k=2|V1 a 0 3|R1 a b 1k|.if (k<1)|.if (k<0)|R2 b 0 2k|.endif|.else|.if (k>1)|"
        "R2 b 0 4k|.endif|.endif"
    ),
    "comments": "V1 a 0 3 $ one|R1 a b 1k ; two|R2 b 0 2k // three",
    # diodes and transistors
    "diode": "V1 a 0 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n n=1.5)",
    "diode with everything forward": (
        "V1 a 0 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=2.5n rs=0.57 n=1.75 bv=100 ibv=100u cjo=4p "
        "m=0.4 vj=0.6 tt=20n)"
    ),
    "breakdown": "V1 a 0 -8|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n n=1.5 bv=5.1 ibv=1m)",
    "breakdown of many": (
        "V1 a 0 -8|R1 a b 1k|D1 b 0 dm area=2 m=3|.model dm d(is=1n bv=5.1 ibv=1m)"
    ),
    "breakdown emission": "V1 a 0 -8|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n bv=5.1 ibv=1m nbv=3)",
    "high injection": "V1 a 0 2|R1 a b 100|D1 b 0 dm|.model dm d(is=1n n=1.5 ikf=1m)",
    "recombination": ("V1 a 0 0.4|R1 a b 1k|D1 b 0 dm|.model dm d(is=1p isr=1n nr=2 vj=0.7 m=0.4)"),
    "recombination and injection": (
        "V1 a 0 2|R1 a b 1k|D1 b 0 dm area=2|.model dm d(is=1p isr=1n nr=1.9 ikf=5m)"
    ),
    "reverse": "V1 a 0 -2|R1 a b 1meg|D1 b 0 dm|.model dm d(is=1n n=1.5)",
    "antiparallel": "V1 a 0 1|R1 a b 1k|D1 b 0 dm|D2 0 b dm|.model dm d is=1n n=1.1 rs=12",
    "stated at 50 degrees": "V1 a 0 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n n=1.5 tnom=50)",
    "nmos": "V1 d 0 3|V2 g 0 2|R1 d a 1k|M1 a g 0 0 nm w=10u l=1u m=2|.model nm nmos(vto=1 kp=50u)",
    "pmos": (
        "V1 d 0 3|V2 g 0 1|R1 a 0 1k|M1 a g d d pm w=10u l=1u|"
        ".model pm pmos(vto=-0.8 kp=20u lambda=0.05 gamma=0.4 phi=0.7)"
    ),
    "nmos with charges": (
        "V1 d 0 3|V2 g 0 2|R1 d a 1k|M1 a g 0 0 nm w=10u l=1u ad=10p|.model nm nmos(level=1 vto=1 "
        "kp=50u lambda=0.02 cgso=0.3n cgdo=0.3n cbd=10f cbs=10f pb=0.8 mj=0.5 rd=10 rs=5)"
    ),
}
"""Elements of decks, whose operating points are compared to 1e-9 V; lines are apart by |."""

RESPONSES = {
    "low pass": "V1 a 0 ac 1|R1 a b 1k|C1 b 0 1n",
    "phase": "V1 a 0 ac 2 45|I1 0 b ac 1m 90|R1 a b 1k|C1 b 0 1n",
    "resonator": "V1 a 0 dc 1 ac 1|R1 a b 50|L1 b c 10u m=2|C1 c 0 1n|R2 c 0 10k",
    "capacitor model": "V1 a 0 ac 1|R1 a b 1k|C1 b 0 cm l=10u w=20u|.model cm c(cj=5 cjsw=1u)",
    "warm capacitor": (
        "V1 a 0 ac 1|R1 a b 1k|C1 b 0 1n dtemp=10 tc1=0.01|C2 b 0 cm|.model cm c cap=1n"
    ),
    "transformer": "V1 a 0 ac 1|R1 a b 10|L1 b 0 10u|L2 c 0 40u|K1 L1 L2 0.95|R2 c 0 1k",
    "three windings": (
        "V1 a 0 ac 1|R1 a b 10|L1 b 0 10u|L2 c 0 40u|L3 d 0 10u|K1 L1 L2 0.6|K2 L2 L3 0.6|"
        "K3 L1 L3 0.6|R2 c 0 1k|R3 d 0 50"
    ),
    "depletion": "V1 a 0 dc -2 ac 1|R1 a b 10k|D1 b 0 dm|.model dm d(is=1n cjo=40p vj=0.7 m=0.4)",
    "depletion forward": (
        "V1 a 0 dc 0.5 ac 1|R1 a b 10|D1 b 0 dm area=2|"
        ".model dm d(is=1p cjo=40p vj=0.6 m=0.4 fc=0.3)"
    ),
    "transit": "V1 a 0 dc 0.7 ac 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=1p tt=20n rs=2)",
    "transit and injection": (
        "V1 a 0 dc 1.5 ac 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=1p tt=20n ikf=1m cjo=1p)"
    ),
    "overlaps": (
        "V1 d 0 3|V2 g 0 dc 2 ac 1|R1 d a 1k|R2 g b 1k|M1 a b 0 0 nm w=10u l=1u|"
        ".model nm nmos(vto=1 kp=50u cgso=3n cgdo=2n cgbo=1n)"
    ),
    "junctions of a transistor": (
        "V1 d 0 dc 3 ac 1|V2 g 0 2|R1 d a 10k|M1 a g s 0 nm w=10u l=1u|R2 s 0 1k|"
        ".model nm nmos(vto=1 kp=50u cbd=10p cbs=5p pb=0.75 mj=0.4)"
    ),
    "expression": "V1 a 0 dc 0.5 ac 1|R1 a b 1k|B1 b 0 i=1m*v(b)^2|C1 b 0 1n|R2 b 0 5k",
}
"""Elements of decks, whose responses are compared to 1e-6."""

RANGE = ".ac dec 2 1k 10meg"

TRANSIENTS = {
    "charging": "V1 a 0 1|R1 a b 1k|C1 b 0 0.1u ic=0.2",
    "sine": "V1 a 0 sin(0.1 1 2k 0.1m 200 30)|R1 a b 1k|C1 b 0 0.1u",
    "two values of a sine": "V1 a 0 sin(0 1)|R1 a b 1k|C1 b 0 0.1u",
    "pulse": "V1 a 0 pulse(0 1 0.1m 10u 20u 0.2m 0.5m)|R1 a b 1k|C1 b 0 0.1u",
    "zero edges": "V1 a 0 pulse(0 1 0.1m 0 0 0.3m 0.6m)|R1 a b 1k|C1 b 0 0.1u",
    "short pulse": "V1 a 0 pulse(0 1 0.2m 1u)|R1 a b 1k|C1 b 0 0.1u",
    "two pulses": "V1 a 0 pulse(0 1 0.1m 5u 5u 0.1m 0.3m 2)|R1 a b 1k|C1 b 0 0.1u",
    "exponential": "V1 a 0 exp(0 1 0.1m 0.1m 0.5m 50u)|R1 a b 1k|C1 b 0 0.1u",
    "short exponential": "V1 a 0 exp(0 1 0.1m)|R1 a b 1k|C1 b 0 0.1u",
    "modulated frequency": "V1 a 0 sffm(0 1 5k 2 1k)|R1 a b 1k|C1 b 0 0.1u",
    "modulated amplitude": "V1 a 0 am(1 0.5 1k 6k 0.1m)|R1 a b 1k|C1 b 0 0.1u",
    "lines": "V1 a 0 pwl(0 0 0.2m 1 0.4m 1, 0.6m -1)|R1 a b 1k|C1 b 0 0.1u",
    "repeated lines": "V1 a 0 pwl(0 0 0.1m 1 0.3m 0) r=0|R1 a b 1k|C1 b 0 0.1u",
    "delayed lines": "V1 a 0 pwl(0 0 0.1m 1 0.3m 0.5) td=0.2m|R1 a b 1k|C1 b 0 0.1u",
    "current pulse": "I1 0 b pulse(0 1m 0.1m 10u 10u 0.4m 1m)|R1 b 0 1k|C1 b 0 0.1u",
    "inductor": "V1 a 0 pulse(0 1 0.1m 1u 1u 2m 4m)|R1 a b 1k|L1 b 0 0.1 ic=0.2m",
    "coupled inductors": (
        "V1 a 0 sin(0 1 2k)|R1 a b 10|L1 b 0 10m|L2 c 0 10m|K1 L1 L2 0.9|R2 c 0 1k"
    ),
    "time": "V1 a 0 0|B1 b 0 V=1+1000*time|R2 b c 1k|C1 c 0 0.1u|R1 a 0 1",
    "resistor of the time": "V1 a 0 1|R1 a b 1k|R2 b 0 r={1k*(1+1000*time)}|C1 b 0 0.01u",
    "rectifier": (
        "V1 a 0 sin(0 2 2k)|D1 a b dm|R1 b 0 10k|C1 b 0 0.05u|.model dm d(is=1n rs=10 cjo=10p)"
    ),
    "varactor": (
        "V1 a 0 pulse(0 -3 0.1m 1u 1u 0.5m 2m)|R1 a b 1meg|D1 b 0 dm|"
        ".model dm d(is=1p cjo=100p m=0.4)"
    ),
    "storage": (
        "V1 a 0 pulse(1 -1 0.2m 1u 1u 0.5m 2m)|R1 a b 1k|D1 b 0 dm|"
        ".model dm d(is=1n tt=20u cjo=10p)"
    ),
    "clipper": "V1 a 0 sin(0 8 2k)|R1 a b 1k|D1 0 b dz|C1 b 0 1n|.model dz d(is=1n bv=5.1 ibv=1m)",
    "charged capacitor between nodes": (
        "V1 a 0 0|R1 a b 1k|C1 b c 0.1u ic=1|R2 c 0 2k|C2 c 0 0.1u ic=0.5"
    ),
    "threshold memristor": (
        "V1 a 0 sin(0 1 1k)|X1 a 0 mem|.subckt mem p n params: ron=1k roff=10k rinit=7k|"
        ".func w(x) {x*(1-x)*4}|Bx 0 x i=w(v(x))*v(p,n)*1k|Cx x 0 1 ic={(roff-rinit)/(roff-ron)}|"
        "Rm p n r={ron*v(x)+roff*(1-v(x))}|.ends"
    ),
    "mosfet": (
        "V1 d 0 3|V2 g 0 pulse(0 3 0.1m 10u 10u 0.4m 1m)|R1 d a 10k|R2 g b 1k|C1 a 0 1n|"
        "M1 a b 0 0 nm w=10u l=1u|.model nm nmos(vto=1 kp=50u cgso=100n cgdo=50n cbd=20p)"
    ),
}
"""Elements of decks, whose transients with `uic` are compared to 1e-3 of full scale."""

TIMES = ".tran 2u 1m 0 2u uic"
TIGHT = TRANSIENT_OPTIONS.replace("chgtol=1e-22", "chgtol=1e-18")

WHOLE = {
    "left out": "V1 a 0 3|R1 a b 1k|R2 b 0 2k|.csparam x=1|.nodeset v(b)=1|.op",
    "recombination of emission 1": (
        "V1 a 0 0|D1 a 0 dm|H1 b 0 V1 1k|R1 b 0 1|.model dm d(is=1p isr=1n vj=0.7 m=0.4)|"
        ".dc V1 -1 0.5 0.05"
    ),
    "recombination stated at 50": (
        "V1 a 0 0|D1 a 0 dm|H1 b 0 V1 1k|R1 b 0 1|.model dm d(is=1p isr=1n vj=0.7 m=0.4 tnom=50)|"
        ".dc V1 -1 0.5 0.05"
    ),
    "sweep": "V1 a 0 0|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n)|.dc V1 -1 1 0.25",
    "two sweeps": "V1 a 0 0|V2 c 0 1|R1 a b 1k|R2 b c 2k|.dc V1 0 2 1 V2 1 3 0.5",
    "sweep of a current": "I1 0 a 0|R1 a 0 1k|.dc I1 0 1m 0.25m",
    "sweep of a resistance": "V1 a 0 1|R1 a b 1k|R2 b 0 1k|.dc R2 1k 3k 1k",
    "sweep of the temperature": (
        "V1 a 0 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n n=1.5)|.dc temp 0 75 25"
    ),
    "sweep at temperatures": (
        "V1 a 0 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n bv=5 ibv=1m)|.dc V1 -7 1 2 temp -20 80 50"
    ),
    "hot": "V1 a 0 3|R1 a b 2k tc1=0.01|R2 b 0 1k|B1 c 0 v=temper|R3 c 0 1|.temp 77|.op",
    "at 25 degrees": (
        "V1 a 0 1|R1 a b 1k|D1 b 0 dm|.model dm d(is=1n n=1.5)|.options temp=25 tnom=25|.op"
    ),
    "hot charges": (
        "V1 a 0 dc -1 ac 1|R1 a b 10k|D1 b 0 dm|.model dm d(is=1n cjo=40p vj=0.7 m=0.4 tt=1u)|"
        ".temp 80|.ac dec 2 1k 1meg"
    ),
    "charges stated at 50 degrees": (
        "V1 a 0 dc -1 ac 1|R1 a b 10k|D1 b 0 dm|.model dm d(is=1n cjo=40p vj=0.7 m=0.4 tnom=50)|"
        ".ac dec 2 1k 1meg"
    ),
    "gmin": (
        "V1 a 0 -1|R1 a b 1meg|D1 b 0 dm|.model dm d(is=1f)|.options gmin=1u reltol=1m post=2|.op"
    ),
    "octaves": "V1 a 0 ac 1|R1 a b 1k|C1 b 0 1u|.ac oct 2 100 300",
    "evenly": "V1 a 0 ac 1|R1 a b 1k|C1 b 0 1u|.ac lin 5 100 500",
    "not whole decades": "V1 a 0 ac 1|R1 a b 1k|C1 b 0 1u|.ac dec 7 3 777",
    "held at first": "V1 a 0 25|R1 a b 1k|C1 b 0 1u|.ic v(b)=0|.tran 20u 2m",
    "from rest": "V1 a 0 pulse(0 1 1m 1u 1u 5m 20m)|R1 a b 1k|L1 b 0 1|.tran 20u 3m",
    "kept later": "V1 a 0 sin(0 1 1k)|R1 a b 1k|C1 b 0 0.1u|.tran 5u 2m 1m",
    "inductor that is held": "V1 a 0 1|R1 a b 1k|L1 b 0 1|C1 b 0 1n|.ic v(b)=0.5|.tran 5u 0.2m",
}
"""Elements of decks with their own analyses."""


def split(lines):
    """The lines of a text, apart by |; || is an operator."""
    return re.split(r"(?<!\|)\|(?!\|)", lines)


def deck(lines, *more):
    return "\n".join(["Deck", *split(lines), *more, ".end", ""])


def parsed(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        netlist = circuits.parse(text)
    assert circuits.parse(netlist.spice()) == netlist
    return netlist


@pytest.fixture(scope="module")
def plain(simulator, tmp_path_factory):
    """What ngspice makes of a text as it stands: its first plot, by names."""
    folder = tmp_path_factory.mktemp("plain")

    def answer(text, options):
        path = folder / "deck.cir"
        path.write_text(text.replace(".end\n", f".options {options}\n.end\n"))
        command = [simulator.command, "-n", "-b", "-r", "out.raw", "deck.cir"]
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, check=False, text=True, timeout=20
        )
        plots = circuits.simulators.raw.read((folder / "out.raw").read_bytes())
        assert plots, ran.stdout
        return plots[0].values

    return answer


def compared(netlist, values, axis, expected, close):
    """Asserts that the voltages of all nodes that plain ngspice has too are its own."""
    names = [name for name in netlist.nodes if f"v({name})" in expected]
    assert names
    assert set(netlist.nodes) - set(names) <= {
        name for name in netlist.nodes if name.endswith((".rs", ".rd")) or "_vmeas" in name
    }
    for name in names:
        right = expected[f"v({name})"]
        if axis is not None:
            right = np.interp(axis, np.real(expected["time"]), right)
        full = max(1.0, float(np.max(np.abs(right))))
        np.testing.assert_allclose(
            values[f"v({name})"], right, rtol=0, atol=close * full, err_msg=name
        )


def answers(simulator, netlist):
    """The values of a netlist's one analysis, by ngspice's names, and its axis."""
    ((analysis, dataset),) = simulate(simulator, netlist)
    if "status" in dataset:
        assert set(dataset.status.values) == {"ok"}
    table = Table.of(netlist, analysis, dataset)
    return table.values, None if table.axis is None or table.axis[0] != "time" else table.axis[1]


def whole(decks, line):
    """One deck of which each of `decks` is a subcircuit."""
    lines = []
    for number, text in enumerate(decks.values()):
        lines += [f"X{number} d{number}", f".subckt d{number}", *split(text), ".ends"]
    return deck("|".join(lines), line)


KINDS = {
    ".op": (POINTS, OPTIONS, 1e-9),
    RANGE: (RESPONSES, OPTIONS, 1e-6),
    TIMES: (TRANSIENTS, TIGHT, 1e-3),
}


@pytest.mark.parametrize("line", KINDS)
def test_every_deck_is_what_ngspice_makes_of_it(line, simulator, plain):
    decks, options, close = KINDS[line]
    for name, lines in decks.items():
        text = deck(lines, line)
        netlist = parsed(text)
        try:
            compared(netlist, *answers(simulator, netlist), plain(text, options), close)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize("line", [".op", RANGE])
def test_the_own_simulator_answers_every_deck_at_once(line, plain):
    decks, options, close = KINDS[line]
    if line == ".op" and not IN_FULL:
        decks = dict(list(decks.items())[::5])
    netlist = parsed(whole(decks, line))
    with jax.enable_x64(True):
        values, _ = answers(circuits.Nodal(), netlist)
    for number, (name, lines) in enumerate(decks.items()):
        text = deck(lines, line)
        start = f"v(x{number}."
        own = {f"v({key[len(start) :]}": v for key, v in values.items() if key.startswith(start)}
        own |= {f"v(x{key[2:]}": v for key, v in own.items()}  # of a subcircuit within
        try:
            compared(parsed(text), own, None, plain(text, options), close)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


BRIEF = ("charging", "coupled inductors", "varactor")
"""The transients that `Nodal` is asked for by default: each is a program to compile."""


@pytest.mark.parametrize("name", TRANSIENTS if IN_FULL else BRIEF)
def test_the_own_simulator_in_time(name, plain):
    text = deck(TRANSIENTS[name], TIMES)
    netlist = parsed(text)
    with jax.enable_x64(True):
        compared(netlist, *answers(circuits.Nodal(), netlist), plain(text, TIGHT), 1e-3)


@pytest.mark.parametrize("name", WHOLE)
def test_a_deck_with_its_own_analysis(name, simulator, plain):
    text = deck(WHOLE[name])
    netlist = parsed(text)
    options, close = OPTIONS, 1e-6 if ".ac" in text else 1e-9
    if ".tran" in text:
        options, close = TIGHT, 1e-3
    expected = plain(text, options.replace("gmin=1e-12 ", ""))
    in_time = ".tran" in text and not IN_FULL
    used_here = (simulator,) if in_time else (simulator, circuits.Nodal())
    for used in used_here:
        with jax.enable_x64(True):
            compared(netlist, *answers(used, netlist), expected, close)


def test_there_are_decks_of_every_construct():
    """Some hundred; and of each letter, waveform and analysis one."""
    texts = [*POINTS.values(), *RESPONSES.values(), *TRANSIENTS.values(), *WHOLE.values()]
    assert len(texts) >= 120
    lines = [line.lower() for text in texts for line in split(text)]
    assert {line[:1] for line in lines} >= set("rclkviefghbdmx.")
    for word in ("pulse(", "sin(", "pwl(", "exp(", "sffm(", "am(", "poly(", "table", ".ac lin"):
        assert any(word in line for line in lines), word


def test_the_page_about_decks_is_that_of_the_reader():
    """`python -m circuits.spice.reference > docs/decks.md` writes it anew."""
    written = Path(__file__).parents[2] / "docs" / "decks.md"
    assert written.read_text() == reference.page()
