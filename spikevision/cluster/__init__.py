"""The cluster: the same jobs on many processes and machines, by Ray; the only part that knows it.

``session`` starts or attaches to Ray, ``launch`` trains, ``shard`` evaluates. Importing this package does not import
Ray: the modules that need it do, when a job was asked to leave this process.
"""

from spikevision.cluster.spec import ClusterResult, ClusterSpec, parse_workers

__all__ = ["ClusterResult", "ClusterSpec", "parse_workers"]
