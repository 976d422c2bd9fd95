"""From a raw file to a clean row: tables, text repair, language, near duplicates; cleaners/ has one file per source."""
