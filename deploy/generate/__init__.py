"""Generated files: written by `tributary generate`, compared by `tributary generate --check`, never edited."""
