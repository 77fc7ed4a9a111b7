"""What a run is told, within its budgets: plain functions from an assignment to text."""
