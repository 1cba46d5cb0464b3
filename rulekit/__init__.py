"""What every rule is written with: dated rates, reasons, stream folders, council profiles, case tables. No I/O beyond
reading the pack's own files, no clock, no stream's name."""
