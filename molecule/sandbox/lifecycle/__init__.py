"""What brings a sandbox up and takes it down. Standard library only."""
