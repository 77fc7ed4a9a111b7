"""PostgreSQL and Valkey out of wheels, private to one user, shared by the processes of a home."""
