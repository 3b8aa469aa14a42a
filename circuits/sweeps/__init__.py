"""Batch sweeps: a circuit at every value of some axes, on many chips, kept in a folder.

A **declaration** is a TOML file, or the arguments of `sweep`, with these keys:

- `network`: what is simulated. `deck`, a SPICE file, read as data; or `factory`, a
  `module:function` with its `arguments`, which returns a `Netlist` or a network of `eqprop` and
  runs only where the sweep is trusted; or `checkpoint`, a network that `save_network` wrote; or
  `trained = "digits"`, the demo's network with `hidden` nodes, trained from `seed` on the first
  run.
- `outputs`: the nodes of a netlist of which the highest decides. `cost`: `on` and `off`, a
  network's targets in V, which are 1 and 0 if not given, or those that a trained network was
  trained with.
- `data`: the samples. For a netlist `drives`, values by the SPICE name of a source, or `file`, a
  CSV or NPZ file of the same, in which a column `label` may hold classes; one sample as the netlist
  stands without either. For a network `name = "digits"`, of whose test images `count` are drawn
  with `seed`, or `x` and `y`, its inputs and its classes or targets, or an NPZ `file` of these.
- `device`, `elements`, `models`: fields of a network's device, of elements by SPICE name, and of
  models by theirs, that take the place of what the network has.
- `variation`: what makes a chip differ from the netlist: the parameters of each kind, in the order
  in which they happen.
- `axes`: lists of values, every combination of which is a **point**. An axis is any other key:
  `beta`, `temperature`, `seed`, `cycle`, `network.hidden`, `data.seed`, `device.saturation`,
  `elements.R1.siemens`, `simulator.timeout`; a kind of variation stands without its section, as
  `programming.spread`.
- `chips`: how many at each point; `seed`: from which they are drawn; `cycle`: how often they were
  programmed and read before. Chip 3 draws the same numbers at every point, so that points differ by
  their axes alone; along `cycle` it draws anew what is programmed and read anew.
- `beta`: of a nudge, in the network's units; with it every sample has the phases free, +β and −β.
  `temperature`: of the circuit, in K.
- `measure`: names of `measures.MEASURES`. `simulator`: `name`, and the numbers of `Ngspice` or
  `Nodal`. `formats`: `zarr`, `parquet`, for results besides NetCDF and CSV.

A file that a declaration in a file names lies in its folder or below it, unless the sweep is
trusted. A sweep has at most a million points and ten million jobs.

A **job** is one chip at one point with all its samples and phases, simulated in one deck from a
cold start. Its key is the SHA-256 of everything that its numbers depend on: netlist, drives,
variation, seed, measures, simulator with its version and settings, and the version of this package.
Results lie by key, so that a changed declaration finds again what it leaves alone.

A **run** is a folder: `plan.json` (declaration, versions, axes, the fingerprint of every point),
`jobs/` (a file for each, written whole or not at all), `failed/` (decks of what failed and what the
simulator said), and at the end `results.nc`, `chips.csv` with a row for each chip at each point,
and `timings.csv`; `report` adds `report.html`. Results are the same bit for bit whatever the
workers, their order, interruptions and shards.

Nothing that lies in such a folder, or in a file that a declaration names, is trusted: `plan`,
`store` and `loading` say what is believed of it.
"""

from .execution import Estimate as Estimate
from .execution import Outcome as Outcome
from .execution import estimate as estimate
from .execution import merge as merge
from .execution import sweep as sweep
from .export import load as load
from .reports.page import report as report
from .store import StorageError as StorageError
from .values import SweepError as SweepError
