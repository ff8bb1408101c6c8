"""Django in one file; a project made by `django-admin startproject` runs the same way."""

import json
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-the-example"),
)


def page(request):
    return HttpResponse("<h1>Hello from Django</h1>")


@csrf_exempt
def posted(request):
    return JsonResponse({"received": json.loads(request.body)})


def query(request):
    return HttpResponse(request.META["QUERY_STRING"], content_type="text/plain")


def cookies(request):
    response = HttpResponse("two cookies")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", expires="Wed, 21 Oct 2037 07:28:00 GMT")
    return response


def download(request):
    return HttpResponse(bytes(range(256)) * 256, content_type="application/octet-stream")


urlpatterns = [
    path("", page),
    path("json", posted),
    path("query", query),
    path("cookies", cookies),
    path("download", download),
    path("redirect", lambda request: redirect("/")),
]

application = get_wsgi_application()
