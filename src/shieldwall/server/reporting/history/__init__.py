"""What fleets were, day by day: Parquet files that DuckDB and everything else of its kind reads."""
