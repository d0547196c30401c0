"""preceptor from Python: what ``import preceptor as pc`` gives, each name imported when it is asked for."""
