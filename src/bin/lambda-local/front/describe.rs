//! GetFunction, GetFunctionConfiguration and ListFunctions: the one function that runs here.
//!
//! Tools ask for it before they invoke it. The responses have the members that the Lambda API
//! reference marks as always present, and describe a zip function with a runtime of its own.

use std::io;

use super::invoke_api::Call;
use crate::clock;
use crate::function::variables::{Setup, function_arn};
use crate::http_server::Exchange;
use crate::json::{Json, object};

pub fn respond(setup: &Setup, call: Call, exchange: &mut Exchange<'_>) -> io::Result<()> {
    let function = configuration(setup);
    let body = match call {
        Call::ListFunctions => object([("Functions", Json::List(vec![function]))]),
        Call::GetFunction => object([
            ("Configuration", function),
            ("Code", object([("RepositoryType", "S3".into())])),
            ("Tags", object([])),
        ]),
        _ => function,
    };
    let id = clock::uuid();
    let headers = [
        ("content-type", "application/json"),
        ("x-amzn-requestid", &id),
    ];
    exchange.respond(200, &headers, &body.bytes())
}

fn configuration(setup: &Setup) -> Json {
    let options = &setup.options;
    object([
        ("FunctionName", options.function_name.as_str().into()),
        ("FunctionArn", function_arn(&options.function_name).into()),
        ("Runtime", "provided.al2023".into()),
        ("Role", "arn:aws:iam::111122223333:role/lambda-local".into()),
        ("Handler", "handler".into()),
        ("CodeSize", 0.into()),
        ("Description", "".into()),
        (
            "Timeout",
            (options.timeout.as_secs_f64().ceil() as i64).into(),
        ),
        ("MemorySize", i64::from(options.memory).into()),
        ("Version", "$LATEST".into()),
        ("State", "Active".into()),
        ("LastUpdateStatus", "Successful".into()),
        ("PackageType", "Zip".into()),
    ])
}
