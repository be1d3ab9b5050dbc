"""The soak test: its workload, the measurement of the worker, the proof of sensitivity, and the journal."""
