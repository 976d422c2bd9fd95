import os

import pytest
from cluster import Cluster, missing


@pytest.fixture(scope="session")
def cluster():
    """A running Slurm; its commands and SLURM_CONF are in os.environ while it runs."""
    if why := missing():
        pytest.skip(why)
    cluster, before = Cluster(), dict(os.environ)
    try:
        cluster.start()
        os.environ.update(cluster.environment)
        yield cluster
    finally:
        cluster.stop()
        os.environ.clear()
        os.environ.update(before)
