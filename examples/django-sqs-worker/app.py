"""A Django app whose tasks come from a queue, written for a worker of Elastic Beanstalk."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-the-example"),
    # Without it, the route of the tasks is 404.
    AWS_EB_HANDLE_SQS_TASKS=True,
    AWS_EB_ENABLED_TASKS={"send_mail": "tasks.send_mail"},
    # For `send_task`, which puts tasks into the queue. boto3 has the credentials of the function's role.
    AWS_EB_DEFAULT_REGION=os.environ.get("AWS_REGION", "eu-west-1"),
    AWS_EB_DEFAULT_QUEUE_NAME=os.environ.get("QUEUE_NAME", "tasks"),
    AWS_ACCESS_KEY_ID=None,
    AWS_SECRET_ACCESS_KEY=None,
)

urlpatterns = [
    path("", lambda request: HttpResponse("<h1>Hello from Django</h1>")),
    path("worker/", include("eb_sqs_worker.urls")),  # POST /worker/sqs/
]

application = get_wsgi_application()
