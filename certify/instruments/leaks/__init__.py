"""Whether a process keeps what it takes: samples in, a judgement out."""
