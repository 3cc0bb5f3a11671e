"""What is measured: per-tile fidelity and distances between distributions."""
