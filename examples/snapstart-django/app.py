"""A shop with a database, random order numbers and credentials: what a snapshot must not hold."""

import os
import random
import tempfile
import time

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections, models
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

PAGE = "<h1>Hello from a snapshot</h1><ul>{% for item in items %}<li>{{ item.name }}: {{ item.price }}</li>{% endfor %}</ul>"

settings.configure(
    ALLOWED_HOSTS=["*"],
    # A file stands for a database on the network. Django keeps the connection open from request to request.
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{tempfile.gettempdir()}/shop.sqlite3", "CONN_MAX_AGE": None}},
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-the-example"),
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"page.html": PAGE})]},
    }],
)
django.setup()


class Item(models.Model):
    name = models.CharField(max_length=40)
    price = models.DecimalField(max_digits=8, decimal_places=2)

    class Meta:
        app_label = "shop"


class Credentials:
    """An SDK's client belongs here: what it has loaded at start expires while the snapshot is kept."""

    def __init__(self):
        self.loaded = time.time()


class State:
    credentials = Credentials()
    snapshot = None


def page(request):
    return render(request, "page.html", {"items": Item.objects.order_by("name")[:20]})


def item(request, number):
    found = get_object_or_404(Item, pk=number)
    return JsonResponse({"id": found.pk, "name": found.name, "price": str(found.price)})


@csrf_exempt
@require_POST
def order(request):
    # `random` is no secret, but two copies of its state give the same numbers.
    return JsonResponse({"order": random.getrandbits(63)})


@csrf_exempt
@require_POST
def before_snapshot(request):
    """A database on the network would close this connection while the snapshot is kept."""
    was_open = sum(known.connection is not None for known in connections.all())
    connections.close_all()
    State.snapshot = time.time()
    print(f"before the snapshot: closed {was_open} connections", flush=True)
    return HttpResponse(status=204)


@csrf_exempt
@require_POST
def after_restore(request):
    """What must not be the same in every copy, or must not be as old as the snapshot."""
    # Seeds from the kernel's generator, which Lambda seeds anew after a restore; `secrets` and `uuid4` read it each time.
    random.seed()
    State.credentials = Credentials()
    is_open = sum(known.connection is not None for known in connections.all())
    fresh = "new" if State.credentials.loaded > State.snapshot else "old"
    print(f"after the restore: new seed, {fresh} credentials, {is_open} connections", flush=True)
    return HttpResponse(status=204)


urlpatterns = [
    path("", page),
    path("items/<int:number>", item),
    path("orders", order),
    path("health", lambda request: HttpResponse("ok", content_type="text/plain")),
    path("snapstart/before", before_snapshot),
    path("snapstart/after", after_restore),
]

application = get_wsgi_application()

with connection.schema_editor() as editor:
    if Item._meta.db_table not in connection.introspection.table_names():
        editor.create_model(Item)
if not Item.objects.exists():
    Item.objects.bulk_create(Item(name=f"Teapot No. {number}", price=f"{9.95 + number:.2f}") for number in range(1, 201))
