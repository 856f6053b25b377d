"""Everything that speaks to Redis. The only package that imports redis, hiredis or the embedded server."""
