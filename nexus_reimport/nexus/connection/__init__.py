"""Into PostgreSQL: sessions, errors without values, PostgreSQL's programs, scratch databases."""
