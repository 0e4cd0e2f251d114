"""What a render means: who asked for it, whether to submit it, when to look, how it ended. No I/O at all."""
