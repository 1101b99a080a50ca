"""What several benchmarks need. Run the scripts beside this folder."""
