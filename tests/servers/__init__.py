"""Real servers for the tests, and a proxy that makes their connections fail in chosen ways."""
