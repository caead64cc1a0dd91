"""Steps of the station's database, run by alembic when the station or a command of it opens the book."""
