"""What is learned from feedback while serving: policies over tilts of the hybrid, proposals, and their judgement."""
