"""Several processes, people and pages under random faults; what was promised is looked up after."""
