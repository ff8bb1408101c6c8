//! The text of `lambda-local --help`.

pub const HELP: &str = "\
lambda-local: run a web app as an AWS Lambda function on this machine, without Docker.

Usage:
  lambda-local [options] [-- command...]      run your app as a Lambda function
  lambda-local invoke FILE | --sample NAME    send one event to a running lambda-local; with
      [--batch N]                             N records, for the samples sqs, kinesis, dynamodb
  lambda-local events [NAME]                  list the sample events, or print one

The command starts your app, which must listen on $PORT (also in $AWS_LWA_PORT).
Without a command, a demo app runs. Then open http://127.0.0.1:3000.

  lambda-local -- node server.js
  lambda-local -- sh -c 'uvicorn main:app --port $PORT'    (or: --app-port 8000 -- uvicorn ...)
  lambda-local --event alb --app-port 8000 -- python3 -m http.server
  lambda-local --invoke-mode response_stream --timeout 60 -- ./my-app

Front end:
  --event KIND          event source to emulate [function-url]:
                        function-url, http-api, rest-api, alb, alb-multi-value, lattice;
                        or web-function: no adapter, requests go to the app, which must listen
                        on $AWS_LAMBDA_HTTP_ENDPOINT as in AWS Lambda Web Functions
  --stage NAME          stage of an http-api or rest-api; URLs then begin with /NAME
  --invoke-mode MODE    buffered or response_stream [buffered]
  --port N              port to listen on [3000]
  --host ADDRESS        address to listen on [127.0.0.1]
  --tenant ID           tenant id of each HTTP request
  --no-page             no page at /__lambda/, and no relay that records for it
  Raw events: POST them to /2015-03-31/functions/function/invocations, or use
  aws lambda invoke --endpoint-url http://127.0.0.1:3000 --function-name x out.json

Function:
  --timeout SECONDS     timeout of an invocation [30; the default of Lambda is 3]
  --memory MB           memory size; a function that uses more is killed [1024]
  --env NAME=VALUE      set an environment variable; may be repeated
  --env-file FILE       read NAME=VALUE lines from a file; may be repeated
  --dir DIR             working directory of the app [this directory]
  --app-port N          port of the app [AWS_LWA_PORT, PORT or a free port]
  --function-name NAME  name of the function [function]

Lifecycle:
  --init TYPE           on-demand, provisioned or snap-start [on-demand]
  --concurrency N       Managed Instances: up to N concurrent invocations in one environment;
                        otherwise one invocation at a time. Of a web-function: up to N
                        requests at a time, 1 to 128 [64]
  --max-environments N  start up to N environments for concurrent invocations, and throttle more;
                        otherwise an invocation waits for the one environment
  --dead-letter FILE    append asynchronous invocations to a file that fail three times
  --freeze              suspend all processes between invocations, as Lambda does

  --watch [DIR]         start a new environment when a file in DIR changes [--dir]

Processes:
  --adapter PATH        adapter binary [lambda-adapter beside this program]
  --no-adapter          no adapter: the command is a runtime that uses the Runtime API
  --extension PATH      start another external extension; may be repeated

Output:
  --report cold-start   print the phases of each cold start after its first invocation
  --log-format FORMAT   text or json [text]
  --color WHEN          auto, always or never [auto]
  -h, --help            print this help
  -V, --version         print the version
";
