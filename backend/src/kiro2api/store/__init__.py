"""The adapter to the database: tables, repositories, migrations."""
