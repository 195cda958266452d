"""Many clips on many machines: Dask spreads them, Parquet holds the findings."""
