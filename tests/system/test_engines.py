"""The tests' own servers do what tests of faults expect of them."""

import psycopg
import pytest
from redis import RedisError

from tests.engines import PostgresServer, RedisServer


def test_redis_comes_back_on_its_port(redis: RedisServer) -> None:
    with redis.client() as client:
        client.set("a", "b")
    redis.restart()
    with redis.client() as client:
        assert client.get("a") is None


def test_redis_that_stands_still_answers_nothing(redis: RedisServer) -> None:
    client = redis.client()
    client.connection_pool.connection_kwargs["socket_timeout"] = 0.2
    redis.pause()
    with client, pytest.raises(RedisError):
        client.ping()
    redis.resume()
    assert redis.answers()


def test_a_full_redis_refuses_what_is_written(redis: RedisServer) -> None:
    redis.limit_memory(1)
    with redis.client() as client, pytest.raises(RedisError, match="maxmemory"):
        client.set("a", "b")


def test_a_database_has_the_tables_and_belongs_to_one_test(
    postgres: PostgresServer, postgres_url: str, postgres_database: str
) -> None:
    with psycopg.connect(postgres_url) as session:
        assert session.execute("SELECT count(*) FROM conversations_user").fetchone() == (0,)
    other = postgres.new_database()
    assert other != postgres_database
    postgres.drop(other)


def test_postgres_comes_back_with_what_it_held(postgres: PostgresServer, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as session:
        session.execute("CREATE TABLE a (b int)")
    postgres.restart()
    with psycopg.connect(postgres_url) as session:
        session.execute("SELECT b FROM a")


def test_postgres_lets_nobody_write_when_read_only(
    postgres: PostgresServer, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as session:
        postgres.set_read_only(True)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.execute("CREATE TABLE a (b int)")
        postgres.set_read_only(False)
        session.execute("CREATE TABLE a (b int)")


def test_postgres_lets_no_more_in_than_set(
    postgres: PostgresServer, postgres_url: str, postgres_database: str
) -> None:
    postgres.limit_connections(postgres_database, 1)
    with psycopg.connect(postgres_url), pytest.raises(psycopg.OperationalError, match="too many"):
        psycopg.connect(postgres_url)


def test_sessions_are_cut_when_a_test_says_so(
    postgres: PostgresServer, postgres_url: str, postgres_database: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as session:
        postgres.disconnect(postgres_database)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_postgres_that_stands_still_lets_nobody_in(
    postgres: PostgresServer, postgres_url: str
) -> None:
    postgres.pause()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_url, connect_timeout=2)
    postgres.resume()
    with psycopg.connect(postgres_url, connect_timeout=5) as session:
        session.execute("SELECT 1")


def test_nobody_reads_a_locked_table(
    postgres: PostgresServer, postgres_url: str, postgres_database: str
) -> None:
    with (
        postgres.locked(postgres_database, "conversations_user"),
        psycopg.connect(postgres_url, options="-c lock_timeout=100") as session,
        pytest.raises(psycopg.errors.LockNotAvailable),
    ):
        session.execute("SELECT 1 FROM conversations_user")
