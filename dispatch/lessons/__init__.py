"""What was learned, and which of it a run is told: plain functions over lessons."""
