"""What is known of frameworks, servers, drivers and packages with system libraries: tables, no code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Framework:
    """How an object of a class is started."""

    name: str
    kind: str = "web"
    interface: str = ""
    """asgi or wsgi; empty where it serves by itself."""
    port: int = 0
    """Its own default, or that of its usual server; 0 for none."""


ASGI, WSGI = "asgi", "wsgi"
FASTAPI = Framework("FastAPI", interface=ASGI, port=8000)
FLASK = Framework("Flask", interface=WSGI, port=8000)
DJANGO = Framework("Django", interface=WSGI, port=8000)
DJANGO_ASGI = Framework("Django", interface=ASGI, port=8000)
STREAMLIT = Framework("Streamlit", port=8501)
ARQ = Framework("arq", kind="worker")
DASH = Framework("Dash", port=8050)
DASH_SERVER = Framework("Dash", interface=WSGI, port=8050)
"""The Flask application that a Dash has as its `server`."""
DRAMATIQ = Framework("dramatiq", kind="worker")
DISCORD = Framework("discord.py", kind="bot")
TELEGRAM = Framework("python-telegram-bot", kind="bot")

CLASSES = {
    "fastapi.FastAPI": FASTAPI,
    "fastapi.applications.FastAPI": FASTAPI,
    "starlette.applications.Starlette": Framework("Starlette", interface=ASGI, port=8000),
    "litestar.Litestar": Framework("Litestar", interface=ASGI, port=8000),
    "litestar.app.Litestar": Framework("Litestar", interface=ASGI, port=8000),
    "quart.Quart": Framework("Quart", interface=ASGI, port=8000),
    "blacksheep.Application": Framework("BlackSheep", interface=ASGI, port=8000),
    "blacksheep.server.Application": Framework("BlackSheep", interface=ASGI, port=8000),
    "falcon.asgi.App": Framework("Falcon", interface=ASGI, port=8000),
    "falcon.App": Framework("Falcon", interface=WSGI, port=8000),
    "falcon.API": Framework("Falcon", interface=WSGI, port=8000),
    "flask.Flask": FLASK,
    "apiflask.APIFlask": FLASK,
    "flask_openapi3.OpenAPI": FLASK,
    "connexion.FlaskApp": Framework("Connexion", interface=WSGI, port=8000),
    "connexion.AsyncApp": Framework("Connexion", interface=ASGI, port=8000),
    "bottle.Bottle": Framework("Bottle", interface=WSGI, port=8080),
    "pyramid.config.Configurator.make_wsgi_app": Framework("Pyramid", interface=WSGI, port=8000),
    "dash.Dash": DASH,
    "django.core.wsgi.get_wsgi_application": DJANGO,
    "django.core.asgi.get_asgi_application": DJANGO_ASGI,
    "channels.routing.ProtocolTypeRouter": DJANGO_ASGI,
    "aiohttp.web.Application": Framework("aiohttp", port=8080),
    "aiohttp.web_app.Application": Framework("aiohttp", port=8080),
    "sanic.Sanic": Framework("Sanic", port=8000),
    "tornado.web.Application": Framework("Tornado"),
    "robyn.Robyn": Framework("Robyn", port=8080),
    "gradio.Blocks": Framework("Gradio", port=7860),
    "gradio.Interface": Framework("Gradio", port=7860),
    "gradio.ChatInterface": Framework("Gradio", port=7860),
    "fastmcp.FastMCP": Framework("FastMCP", port=8000),
    "mcp.server.fastmcp.FastMCP": Framework("FastMCP", port=8000),
    "celery.Celery": Framework("Celery", kind="worker"),
    "celery.app.Celery": Framework("Celery", kind="worker"),
    "taskiq.InMemoryBroker": Framework("taskiq", kind="worker"),
    "taskiq_redis.ListQueueBroker": Framework("taskiq", kind="worker"),
    "taskiq_redis.RedisStreamBroker": Framework("taskiq", kind="worker"),
    "taskiq_aio_pika.AioPikaBroker": Framework("taskiq", kind="worker"),
    "huey.RedisHuey": Framework("Huey", kind="worker"),
    "huey.SqliteHuey": Framework("Huey", kind="worker"),
    "procrastinate.App": Framework("procrastinate", kind="worker"),
    "faststream.FastStream": Framework("FastStream", kind="worker"),
    "rq.Worker": Framework("RQ", kind="worker"),
    "apscheduler.schedulers.blocking.BlockingScheduler": Framework("APScheduler", kind="worker"),
    "discord.Client": DISCORD,
    "discord.Bot": DISCORD,
    "discord.AutoShardedClient": DISCORD,
    "discord.ext.commands.Bot": DISCORD,
    "discord.ext.commands.AutoShardedBot": DISCORD,
    "discord.ext.commands.bot.Bot": DISCORD,
    "discord.ext.commands.bot.AutoShardedBot": DISCORD,
    "disnake.ext.commands.Bot": Framework("disnake", kind="bot"),
    "nextcord.ext.commands.Bot": Framework("nextcord", kind="bot"),
    "hikari.GatewayBot": Framework("hikari", kind="bot"),
    "aiogram.Dispatcher": Framework("aiogram", kind="bot"),
    "aiogram.dispatcher.Dispatcher": Framework("aiogram", kind="bot"),
    "telegram.ext.ApplicationBuilder": TELEGRAM,
    "telegram.ext.Application.builder": TELEGRAM,
    "telegram.ext.Updater": TELEGRAM,
    "telebot.TeleBot": Framework("pyTelegramBotAPI", kind="bot"),
    "telebot.async_telebot.AsyncTeleBot": Framework("pyTelegramBotAPI", kind="bot"),
    "pyrogram.Client": Framework("Pyrogram", kind="bot"),
    "telethon.TelegramClient": Framework("Telethon", kind="bot"),
    "slack_bolt.App": Framework("Slack Bolt", kind="bot"),
    "slack_bolt.async_app.AsyncApp": Framework("Slack Bolt", kind="bot"),
}
"""What a class or function makes, by its full name. Source: each project's documentation."""

SERVERS = {
    ASGI: ("uvicorn", "granian", "hypercorn", "gunicorn", "daphne", "fastapi-cli"),
    WSGI: ("gunicorn", "waitress", "uwsgi", "pyuwsgi", "granian"),
}
"""The distributions that serve an interface, the usual first; gunicorn serves ASGI with a worker of uvicorn's."""
BRINGS = {
    "fastapi[standard]": "uvicorn",
    "fastapi[all]": "uvicorn",
    "litestar[standard]": "uvicorn",
    "channels[daphne]": "daphne",
}
"""Distributions that bring a server with an extra."""

DRIVERS = {
    "postgres": (
        *("psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "asyncpg", "pg8000", "aiopg", "psycopg-pool"),
        *("django-postgres-extra", "pgvector", "procrastinate", "psycogreen"),
    ),
    "mysql": ("mysqlclient", "pymysql", "aiomysql", "asyncmy", "mysql-connector-python", "mysql-connector", "mariadb"),
    "redis": (
        *("redis", "aioredis", "hiredis", "django-redis", "channels-redis", "arq", "rq", "flask-redis", "aiocache"),
        *("fastapi-cache2", "django-rq", "rq-scheduler", "taskiq-redis", "valkey", "redis-om", "django-valkey"),
    ),
    "rabbitmq": ("pika", "aio-pika", "aiormq", "taskiq-aio-pika", "librabbitmq"),
    "mongo": ("pymongo", "motor", "mongoengine", "beanie", "odmantic", "flask-pymongo", "djongo"),
    "elasticsearch": ("elasticsearch", "elasticsearch-dsl", "django-elasticsearch-dsl", "elastic-transport"),
    "opensearch": ("opensearch-py", "opensearch-dsl"),
    "kafka": ("aiokafka", "kafka-python", "kafka-python-ng", "confluent-kafka"),
    "memcached": ("pymemcache", "pylibmc", "python-memcached", "aiomcache"),
    "nats": ("nats-py",),
    "cassandra": ("cassandra-driver", "scylla-driver"),
    "clickhouse": ("clickhouse-connect", "clickhouse-driver", "asynch"),
    "neo4j": ("neo4j", "neomodel"),
    "qdrant": ("qdrant-client",),
    "minio": ("minio",),
    "mssql": ("pymssql", "aioodbc", "mssql-django"),
    "influxdb": ("influxdb", "influxdb-client"),
}
"""The distributions that speak to a service; those that can do so and need not, such as celery, are left out."""
PERHAPS = {"hiredis", "aiocache", "fastapi-cache2", "minio", "django-redis", "psycogreen"}
"""Those of them that may be there without the service."""
EXTRA_SERVICES = {
    "celery[redis]": "redis",
    "kombu[redis]": "redis",
    "dramatiq[redis]": "redis",
    "dramatiq[rabbitmq]": "rabbitmq",
    "sqlalchemy[postgresql]": "postgres",
    "sqlalchemy[postgresql-asyncpg]": "postgres",
    "sqlalchemy[mysql]": "mysql",
    "tortoise-orm[asyncpg]": "postgres",
    "databases[asyncpg]": "postgres",
    "faststream[kafka]": "kafka",
    "faststream[rabbit]": "rabbitmq",
    "faststream[redis]": "redis",
    "faststream[nats]": "nats",
}
"""What a distribution speaks to with an extra."""
SCHEMES = {
    **dict.fromkeys(("postgres", "postgresql", "postgis", "psql", "pgsql"), "postgres"),
    **dict.fromkeys(("mysql", "mariadb"), "mysql"),
    **dict.fromkeys(("redis", "rediss", "valkey"), "redis"),
    **dict.fromkeys(("amqp", "amqps", "pyamqp"), "rabbitmq"),
    **dict.fromkeys(("mongodb", "mongo"), "mongo"),
    **dict.fromkeys(("elasticsearch",), "elasticsearch"),
    **dict.fromkeys(("kafka",), "kafka"),
    **dict.fromkeys(("nats",), "nats"),
    **dict.fromkeys(("clickhouse",), "clickhouse"),
    **dict.fromkeys(("memcached",), "memcached"),
    **dict.fromkeys(("bolt", "neo4j"), "neo4j"),
}
"""What an address asks for, by its scheme up to a `+`."""
IMAGES = {
    **dict.fromkeys(("postgres", "postgis", "pgvector", "timescaledb", "postgresql"), "postgres"),
    **dict.fromkeys(("mysql", "mariadb", "percona"), "mysql"),
    **dict.fromkeys(("redis", "valkey", "redis-stack", "redis-stack-server", "keydb", "dragonfly"), "redis"),
    **dict.fromkeys(("rabbitmq",), "rabbitmq"),
    **dict.fromkeys(("mongo", "mongodb"), "mongo"),
    **dict.fromkeys(("elasticsearch",), "elasticsearch"),
    **dict.fromkeys(("opensearch",), "opensearch"),
    **dict.fromkeys(("kafka", "cp-kafka", "redpanda"), "kafka"),
    **dict.fromkeys(("memcached",), "memcached"),
    **dict.fromkeys(("nats",), "nats"),
    **dict.fromkeys(("minio",), "minio"),
    **dict.fromkeys(("clickhouse-server", "clickhouse"), "clickhouse"),
    **dict.fromkeys(("neo4j",), "neo4j"),
    **dict.fromkeys(("qdrant",), "qdrant"),
}
"""What an image of a compose file is, by the last part of its name."""

LIBRARIES = {
    **dict.fromkeys(("psycopg2", "psycopg", "psycopg-c"), ("libpq5",)),
    "mysqlclient": ("libmariadb3",),
    "mariadb": ("libmariadb3",),
    "weasyprint": ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"),
    "opencv-python": ("libgl1", "libglib2.0-0"),
    "opencv-contrib-python": ("libgl1", "libglib2.0-0"),
    "python-magic": ("libmagic1",),
    "pyzbar": ("libzbar0",),
    "cairosvg": ("libcairo2",),
    "cairocffi": ("libcairo2",),
    "pycairo": ("libcairo2",),
    "xhtml2pdf": ("libcairo2",),
    "soundfile": ("libsndfile1",),
    "librosa": ("libsndfile1",),
    "pyaudio": ("libportaudio2",),
    "sounddevice": ("libportaudio2",),
    "python-ldap": ("libldap-2.5-0",),
    "pylibmc": ("libmemcached11",),
    "pyodbc": ("unixodbc",),
    "aioodbc": ("unixodbc",),
    "mssql-django": ("unixodbc",),
    "pycurl": ("libcurl4",),
    "xmlsec": ("libxmlsec1-openssl",),
    "python3-saml": ("libxmlsec1-openssl",),
    "pytesseract": ("tesseract-ocr",),
    "pdf2image": ("poppler-utils",),
    "pypandoc": ("pandoc",),
    "pydub": ("ffmpeg",),
    "ffmpeg-python": ("ffmpeg",),
    "moviepy": ("ffmpeg",),
    "yt-dlp": ("ffmpeg",),
    "openai-whisper": ("ffmpeg",),
    "pyvips": ("libvips42",),
    "wand": ("libmagickwand-6.q16-6",),
    "pdfkit": ("wkhtmltopdf",),
    "imgkit": ("wkhtmltopdf",),
    "gitpython": ("git",),
    "graphviz": ("graphviz",),
    "pygraphviz": ("libcgraph6", "libgvc6"),
    "dbus-python": ("libdbus-1-3",),
    "pyenchant": ("libenchant-2-2",),
    "fiona": ("libgdal32",),
    "gdal": ("libgdal32",),
    "uwsgi": ("libpcre2-8-0",),
    "pyusb": ("libusb-1.0-0",),
    "libvirt-python": ("libvirt0",),
}
"""The Debian 12 packages that distributions load or call at run time. Sources: each project's installation page
(psycopg.org/psycopg3/docs/basic/install.html, github.com/PyMySQL/mysqlclient, doc.courtbouillon.org/weasyprint,
pypi.org/project/opencv-python, github.com/ahupp/python-magic, github.com/mkleehammer/pyodbc/wiki, www.python-ldap.org),
and for the names of packages packages.debian.org. Distributions whose wheels bring what they need are left out."""
SELF_CONTAINED = {
    "psycopg2": "psycopg2-binary",
    "psycopg": "psycopg-binary",
    "opencv-python": "opencv-python-headless",
    "python-magic": "python-magic-bin",
}
"""The distribution that makes the libraries of another one needless, where it is there too."""
