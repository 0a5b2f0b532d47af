"""Speed and memory: ours beside rivals, beside the machine's limit, and as the work grows."""
