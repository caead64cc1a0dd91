"""The station's pages: server-rendered, on the hospital's own network, without a request to anywhere else."""
