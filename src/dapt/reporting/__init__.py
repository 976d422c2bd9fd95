"""From metrics to tables, pictures, report pages and model cards."""
