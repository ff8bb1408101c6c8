//! The cases of LWA 1.0's own tests, and the tests of ours that cover the same behaviour. Those of
//! options and helpers alone, without a request, are cases of settings here.

use super::{files, read, root};

/// A case, without `test_` and `http_`, and the tests that cover it.
const CASES: &[(&str, &[&str])] = &[
    // tests/integ_tests
    (
        "adapter_options_from_env",
        &["deprecated_names_take_effect"],
    ),
    (
        "adapter_options_from_namespaced_env",
        &["new_name_wins_over_the_deprecated_one"],
    ),
    (
        "readiness_check_port_fallback_to_lwa_port",
        &["readiness_probe_is_a_plain_get_of_the_path"],
    ),
    (
        "port_fallback_to_port_env",
        &["port_and_host_have_short_names_that_are_not_deprecated"],
    ),
    (
        "readiness_check",
        &[
            "no_invocation_is_asked_for_before_the_app_is_ready",
            "readiness_probe_is_a_plain_get_of_the_path",
        ],
    ),
    (
        "basic_request",
        &[
            "each_kind_of_http_event_reaches_the_app_as_itself",
            "reply_to_each_kind_has_its_shape",
        ],
    ),
    (
        "headers",
        &[
            "each_answer_becomes_its_reply",
            "each_event_becomes_its_request",
        ],
    ),
    (
        "path_encoding",
        &["path_bytes_that_no_target_can_hold_are_percent_encoded"],
    ),
    ("query_params", &["raw_query_string_is_sent_byte_for_byte"]),
    ("post_put_delete", &["usual_methods_carry_a_body"]),
    (
        "request_body_forwarded",
        &["base64_body_arrives_as_bytes", "text_body_arrives_as_utf_8"],
    ),
    (
        "compress",
        &["text_is_compressed_for_clients_that_take_gzip"],
    ),
    (
        "compress_disallowed_type",
        &["what_gains_nothing_or_must_not_change_is_left_alone"],
    ),
    (
        "compress_already_compressed",
        &["what_gains_nothing_or_must_not_change_is_left_alone"],
    ),
    (
        "context_headers",
        &[
            "lambda_context_holds_what_lambda_says",
            "request_context_is_the_events_with_every_key",
        ],
    ),
    ("content_encoding_suffix", &["textual_types_are_text"]),
    (
        "error_status_codes",
        &["status_in_the_error_list_fails_the_invocation"],
    ),
    (
        "authorization_source",
        &["authorization_can_come_from_another_header"],
    ),
    (
        "context_multi_headers",
        &["clients_cannot_send_what_lambda_vouches_for"],
    ),
    (
        "base_path_stripping",
        &["base_path_is_stripped_only_at_a_segment_boundary"],
    ),
    (
        "base_path_no_match",
        &["base_path_is_stripped_only_at_a_segment_boundary"],
    ),
    (
        "base_path_root_after_strip",
        &["base_path_is_stripped_only_at_a_segment_boundary"],
    ),
    (
        "deprecated_env_var_fallback",
        &[
            "deprecated_names_take_effect",
            "deprecated_names_work_and_are_warned_about_once_with_their_replacement",
        ],
    ),
    (
        "namespaced_env_overrides_deprecated",
        &[
            "new_name_wins_over_the_deprecated_one",
            "own_name_wins_over_the_short_one",
        ],
    ),
    (
        "authorization_source_missing_header",
        &["authorization_is_not_made_up_when_the_other_header_is_absent"],
    ),
    (
        "error_status_codes_non_matching",
        &["status_outside_the_error_list_is_an_ordinary_reply"],
    ),
    (
        "async_init_ready_at_init",
        &["init_ends_at_once_with_async_init_when_the_app_is_ready"],
    ),
    ("tcp_readiness_check", &["readiness_by_tcp_only_connects"]),
    (
        "concurrent_request_forwarding",
        &["answers_reach_the_invocation_they_belong_to"],
    ),
    (
        "concurrent_post_body_isolation",
        &["each_of_many_invocations_of_a_managed_instance_is_answered_once_with_its_own"],
    ),
    (
        "tenant_id_propagated_from_client_context",
        &["tenant_of_the_invocation_is_sent"],
    ),
    (
        "no_tenant_id_header_when_absent",
        &["nothing_is_added_that_neither_client_nor_lambda_sent"],
    ),
    // src/lib.rs
    (
        "status_200_is_ok",
        &["readiness_goes_on_until_a_healthy_status"],
    ),
    (
        "status_500_is_bad",
        &["healthy_statuses_are_100_to_499_unless_set"],
    ),
    (
        "status_403_is_bad_when_configured",
        &["healthy_statuses_are_100_to_499_unless_set"],
    ),
    (
        "tcp_readiness_check_failure",
        &["async_init_asks_for_invocations_while_the_app_is_not_ready"],
    ),
    (
        "protocol_and_invoke_mode_from_str",
        &["bad_choices_are_refused_with_the_choices"],
    ),
    ("adapter_new_invalid_host", &["bad_host_is_refused"]),
    (
        "adapter_new_valid_config",
        &["localhost_and_the_unspecified_address_are_hosts"],
    ),
    (
        "parse_status_codes",
        &[
            "bad_status_lists_are_refused",
            "status_list_may_end_with_a_comma",
        ],
    ),
    (
        "apply_runtime_proxy_config_sets_env",
        &["invocations_go_through_the_proxy_and_registration_does_not"],
    ),
    (
        "compression_disabled_with_response_stream",
        &["stream_of_a_function_url_is_sent_as_it_is"],
    ),
];

#[test]
fn every_case_of_lwa_has_a_test_of_ours() {
    let text: String = files(&root().join("tests/e2e"), "rs")
        .iter()
        .map(|path| read(path))
        .collect();
    for (case, tests) in CASES {
        assert!(!tests.is_empty(), "{case}");
        for test in *tests {
            assert!(text.contains(&format!("fn {test}()")), "{case}: {test}");
        }
    }
}
