from tests.support.postgres import backend, database_url, engine, keyring
from tests.support.redis import redis_server, redis_url

__all__ = ["backend", "database_url", "engine", "keyring", "redis_server", "redis_url"]
