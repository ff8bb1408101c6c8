"""The one list of what `examples/run` runs."""

from dataclasses import dataclass

import checks


@dataclass(frozen=True)
class Row:
    name: str
    packages: tuple = ("image",)
    debian: str = ""  # packages
    programs: tuple = ()  # what else must be there
    fetch: str = ""  # a shell command that gets what the build needs; without a network the row is skipped
    build: str = ""  # a shell command, in the copy of the folder
    workdir: str = ""  # where a build has put what the image gets, if elsewhere
    port_in: tuple = ()  # files that name a port because their format knows no environment variables
    options: tuple = ()  # of lambda-local
    base: str = ""  # of every path, behind a stage
    without: tuple = ()  # HTTP checks that cannot hold, such as a POST to a server of files
    origin: bool = False  # the app is a proxy: origin.py is behind it, at $ORIGIN
    also: tuple = ()  # checks of this row alone
    extensions: str = "extensions"  # the folder of other extensions
    folder: str = ""  # its own name, if empty
    unset: tuple = ()  # variables of the template that this row runs without

    def __post_init__(self):
        object.__setattr__(self, "folder", self.folder or self.name)


BOTH = ("image", "zip")
ZIP = ("zip",)
CARGO = "cargo build --release && cp $CARGO_TARGET_DIR/release/"
EVENTS = tuple(checks.HTTP)
QUIET = (*EVENTS, "stream")
GO = "CGO_ENABLED=0 GO111MODULE=off GOPATH=$PWD/gopath:/usr/share/gocode go build"

ROWS = [
    Row("express", BOTH, also=(checks.sigterm,)),
    Row("fastify"),
    Row("koa"),
    Row("hono"),
    Row("nestjs", build="npm run build"),
    Row("flask", BOTH),
    Row("fastapi", BOTH),
    Row("django"),
    Row("fasthtml"),
    Row("nginx", debian="nginx-light", port_in=("nginx.conf",), without=("json",)),
    Row("caddy", debian="caddy", without=("json",)),
    Row("haproxy", debian="haproxy", origin=True),
    Row("php", debian="php-cli"),
    Row("php-fpm-nginx", debian="php-fpm nginx-light", port_in=("nginx.conf",)),
    Row("laravel", debian="php-cli php-laravel-framework"),
    Row("sinatra", debian="ruby-sinatra puma"),
    Row("rails", debian="ruby-railties puma"),
    Row("spring-jetty", debian="default-jdk-headless libjetty9-java libspring-web-servlet-java libjackson2-databind-java",
        build="javac -d classes $(tail -n 1 options) App.java"),
    Row("spring-boot", programs=("mvn", "java"), fetch="mvn -q -B dependency:go-offline", build="mvn -q -B package && cp target/app.jar ."),
    Row("aspnet-mono", debian="mono-fastcgi-server4 mono-mcs nginx-light", port_in=("nginx.conf", "start.sh"),
        build="mkdir -p bin && mcs -target:library -r:System.Web.dll -r:System.Web.Extensions.dll -out:bin/Site.dll Site.cs"),
    Row("aspnet-core", programs=("dotnet",), fetch="dotnet restore", build="dotnet publish --configuration Release --output out", workdir="out"),
    Row("go", BOTH, debian="golang-go", build=f"{GO} -o server . && cp server bootstrap"),
    Row("go-http-api", ZIP, debian="golang-go", build=f"{GO} -o bootstrap .", options=("--event", "http-api", "--stage", "default"),
        base="/default", also=(checks.without_lambda,)),
    Row("gorilla-mux", debian="golang-go golang-github-gorilla-mux-dev", build=f"{GO} -o server ."),
    Row("gin", debian="golang-go golang-github-gin-gonic-gin-dev", build=f"{GO} -o server ."),
    # Debian has it without the version in its path.
    Row("echo", debian="golang-go golang-github-labstack-echo-dev", build="mkdir -p gopath/src/github.com/labstack/echo && "
        f"ln -sfn /usr/share/gocode/src/github.com/labstack/echo gopath/src/github.com/labstack/echo/v4 && {GO} -o server ."),
    Row("negroni", debian="golang-go golang-github-urfave-negroni-dev", build=f"{GO} -o server ."),
    Row("nextjs", build="npm run build && cp -R .next/static .next/standalone/.next/", workdir=".next/standalone",
        without=("query",), also=(checks.parameters,)),
    Row("sveltekit", build="npm run build"),
    Row("remix", build="npm run build", without=("query",), also=(checks.parameters,)),
    Row("nuxt", build="npm run build", workdir=".output"),
    # Its own server refuses a query that is not UTF-8.
    Row("astro", build="npm run build", without=("query",)),
    Row("deno", ZIP),
    Row("bun"),
    Row("sqs-express", ZIP, without=EVENTS, also=(checks.sqs,)),
    Row("bedrock-agent-fastapi", ZIP, without=EVENTS, also=(checks.bedrock_agent,)),
    Row("eventbridge-flask", ZIP, without=EVENTS, also=(checks.eventbridge,)),
    Row("fastapi-background-tasks", ZIP, without=EVENTS, also=(checks.background_task,)),
    Row("express-queue", ZIP, without=EVENTS, also=(checks.queue,)),
    Row("flask-events", ZIP, without=EVENTS, also=(checks.sources,)),
    Row("django-sqs-worker", without=EVENTS, also=(checks.worker,)),
    Row("runtime-api-proxy", without=EVENTS, also=(checks.recorder,)),
    Row("mcp-python", without=QUIET, also=(checks.mcp,)),
    Row("mcp-typescript", build="npm run build", without=QUIET, also=(checks.mcp,)),
    Row("sse-rest-streaming", options=("--event", "rest-api", "--stage", "Prod"), without=QUIET, also=(checks.events,)),
    Row("graphql-bun", without=EVENTS, also=(checks.graphql,)),
    Row("managed-instances", ZIP, options=("--concurrency", "8"), without=EVENTS, also=(checks.together,)),
    Row("snapstart-image", options=("--init", "snap-start"), without=EVENTS, also=(checks.snapstart,)),
    Row("snapstart-spring", options=("--init", "snap-start"), without=EVENTS, also=(checks.snapstart_shop,),
        debian="default-jdk-headless libjetty9-java libspring-web-servlet-java libspring-jdbc-java libjackson2-databind-java libhikaricp-java libh2-java",
        build="javac -d classes $(tail -n 1 options) App.java"),
    Row("snapstart-django", options=("--init", "snap-start"), without=EVENTS, also=(checks.snapstart_shop,)),
    Row("opentelemetry", ZIP, without=EVENTS, also=(checks.traces,), extensions="collector/extensions"),
    Row("flask-opentelemetry-hook", ZIP, without=EVENTS, also=(checks.flushed_traces,), extensions="collector/extensions"),
    # The negative control: without the hook the spans stay in the frozen app.
    Row("flask-opentelemetry-without-hook", ZIP, without=EVENTS, also=(checks.frozen_traces,), extensions="collector/extensions",
        folder="flask-opentelemetry-hook", unset=("AWS_LWA_AFTER_RESPONSE_PATH",)),
    Row("axum", ZIP, programs=("cargo",), fetch="cargo fetch", build=CARGO + "axum-example bootstrap"),
    Row("actix-web", ZIP, programs=("cargo",), fetch="cargo fetch", build=CARGO + "actix-web-example bootstrap"),
    Row("rocket", ZIP, programs=("cargo",), fetch="cargo fetch", build=CARGO + "rocket-example bootstrap"),
]
