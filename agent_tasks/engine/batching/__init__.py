"""What threads ask of Postgres at one moment goes there in one statement."""
