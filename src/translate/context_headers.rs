//! The headers that describe the invocation to the app.
//!
//! The names and JSON members are those of AWS Lambda Web Adapter, so that apps work with
//! either. Apps may trust the values: the client cannot set these headers.

use crate::config::Config;
use crate::http::headers::Headers;
use crate::invocation::Invocation;
use crate::translate::traceparent;
use codec::json::{self, Object, Raw};

const TRACE_ID: &[u8] = b"x-amzn-trace-id";
pub const REQUEST_CONTEXT: &[u8] = b"x-amzn-request-context";
pub const LAMBDA_CONTEXT: &[u8] = b"x-amzn-lambda-context";
/// Set on the requests of priming.
pub const PRIME: &[u8] = b"x-amzn-lambda-prime";
pub const TENANT_ID: &[u8] = b"x-amz-tenant-id";
/// The headers of AWS Lambda Web Functions ("HTTP requests and responses").
pub const WEB_FUNCTION: &[u8] = b"lambda-web-";
const REQUEST_ID: &[u8] = b"lambda-web-request-id";

/// Adds the headers for this invocation; `context` is the event's `requestContext`.
pub fn add(headers: &mut Headers, context: Option<Raw>, invocation: &Invocation, config: &Config) {
    if let Some(trace_id) = &invocation.trace_id {
        headers.remove(TRACE_ID);
        headers.push(TRACE_ID, trace_id.as_bytes());
        if config.traceparent {
            traceparent::add_parent(headers, trace_id);
        }
    }
    headers.push(REQUEST_ID, invocation.id.as_bytes());
    if config.context_headers {
        let mut value = Vec::with_capacity(1024);
        json::write_ascii(&mut value, context.map_or("null", |raw| raw.get()));
        headers.push(REQUEST_CONTEXT, &value);
        value.clear();
        write_lambda_context(&mut value, invocation, config);
        headers.push(LAMBDA_CONTEXT, &value);
    }
    if let Some(tenant_id) = &invocation.tenant_id {
        headers.push(TENANT_ID, tenant_id.as_bytes());
    }
}

fn write_lambda_context(out: &mut Vec<u8>, invocation: &Invocation, config: &Config) {
    let function = &config.function;
    let string = |out: &mut Vec<u8>, key: &str, value: Option<&str>| {
        out.extend_from_slice(key.as_bytes());
        match value {
            Some(text) => json::write_ascii_string(out, text),
            None => out.extend_from_slice(b"null"),
        }
    };
    let number = |out: &mut Vec<u8>, key: &str, value: u64| {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.to_string().as_bytes());
    };
    string(out, "{\"request_id\":", Some(&invocation.id));
    number(out, ",\"deadline\":", invocation.deadline_ms.unwrap_or(0));
    string(
        out,
        ",\"invoked_function_arn\":",
        Some(&invocation.function_arn),
    );
    string(out, ",\"xray_trace_id\":", invocation.trace_id.as_deref());
    out.extend_from_slice(b",\"client_context\":");
    let client = invocation.client_context.as_deref();
    json::write_ascii(
        out,
        client
            .filter(|text| json::is_valid(text.as_bytes()))
            .unwrap_or("null"),
    );
    out.extend_from_slice(b",\"identity\":");
    write_identity(out, invocation);
    string(out, ",\"tenant_id\":", invocation.tenant_id.as_deref());
    string(
        out,
        ",\"env_config\":{\"function_name\":",
        Some(&function.name),
    );
    number(out, ",\"memory\":", function.memory);
    string(out, ",\"version\":", Some(&function.version));
    string(out, ",\"log_stream\":", Some(&function.log_stream));
    string(out, ",\"log_group\":", Some(&function.log_group));
    out.extend_from_slice(b"}}");
}

/// Writes the Cognito identity under the names of AWS Lambda Web Adapter, from any spelling in
/// use.
fn write_identity(out: &mut Vec<u8>, invocation: &Invocation) {
    let json = invocation.cognito_identity.as_deref().unwrap_or("null");
    let identity = Object::parse(json).unwrap_or_default();
    let named = |keys: [&str; 3]| identity.first_text(&keys).unwrap_or_default();
    if identity.is_empty() {
        return out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b"{\"identityId\":");
    json::write_ascii_string(
        out,
        &named(["cognitoIdentityId", "identityId", "identity_id"]),
    );
    out.extend_from_slice(b",\"identityPoolId\":");
    let pool = [
        "cognitoIdentityPoolId",
        "identityPoolId",
        "identity_pool_id",
    ];
    json::write_ascii_string(out, &named(pool));
    out.push(b'}');
}
