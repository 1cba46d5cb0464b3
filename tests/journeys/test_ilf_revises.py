"""The ILF's line rests on the council's amount: when that changes, an award given on the old amount is not kept."""
