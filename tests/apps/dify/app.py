from flask import Flask

from .extensions import ext_celery


def create_app() -> Flask:
    app = Flask("dify")
    app.config["TENANT"] = "acme"
    ext_celery.init_app(app)
    return app


app = create_app()
celery = app.extensions["celery"]
