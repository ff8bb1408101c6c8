//! The binary under test, and the one table of intended differences from another adapter.
//!
//! `ADAPTER=/path cargo test --test e2e` runs the whole suite against that file. With
//! `ADAPTER_IS=lwa` as well, the tests in the table run against our own binary and print a line, so
//! that every failure is an unintended difference.
//!
//! `ADAPTER_MODE=entrypoint` tests the adapter as the parent of an app, except for the tests of
//! extensions.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::thread;

/// AWS Lambda Web Adapter 1.0: how it differs, and the tests (without their file) that show it.
const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "sends brotli where it may, reads neither weights nor `*`, and compresses where that saves \
            nothing",
        &[
            "accept_encoding_is_honoured_with_its_weights",
            "small_chunked_body_is_left_alone_as_well",
            "strong_etag_becomes_weak",
            "text_is_compressed_for_clients_that_take_gzip",
            "vary_gains_accept_encoding_once",
            "what_compressing_does_not_make_smaller_goes_as_it_is",
            "what_gains_nothing_or_must_not_change_is_left_alone",
            "what_was_said_of_the_plain_body_is_not_said_of_the_compressed_one",
        ],
    ),
    (
        "uses a connection again after an odd response, and forwards its framing headers",
        &[
            "chunked_twice_or_after_identity_is_chunked",
            "empty_lines_before_the_status_line_are_skipped",
            "identity_is_no_transfer_coding",
            "length_that_frames_nothing_is_not_judged",
            "length_that_is_none_is_not_sent_to_the_client",
            "lines_of_a_head_may_end_with_lf",
            "trailers_may_end_with_lf",
        ],
    ),
    (
        "does not compress streams",
        &[
            "compressed_stream_that_breaks_off_delivers_what_came_before_and_says_so",
            "stream_of_a_function_url_is_sent_as_it_is",
            "streams_are_compressed_and_flushed_with_each_chunk",
        ],
    ),
    (
        "posts Rust type names as error types, and `unhandled` in the header",
        &[
            "answer_may_come_before_the_request_is_read",
            "answers_cannot_smuggle_towards_lambda",
            "app_accepts_and_says_nothing",
            "app_announces_more_than_lambda_takes",
            "app_answers_before_it_has_read_the_request",
            "app_closes_without_an_answer",
            "app_listens_on_ipv6_only",
            "app_refuses_connections_and_comes_back",
            "app_resets_in_each_phase",
            "app_says_nothing_and_no_margin_is_set",
            "app_sends_10_000_headers",
            "app_sends_a_chunk_longer_than_its_size",
            "app_sends_a_chunk_size_no_integer_holds",
            "app_sends_a_length_that_is_none",
            "app_sends_a_malformed_head",
            "app_sends_an_endless_body",
            "app_sends_an_endless_head",
            "app_sends_half_a_body",
            "app_sends_half_a_head",
            "app_sends_half_a_status_line",
            "app_sends_interim_answers_for_ever",
            "app_speaks_another_protocol",
            "app_stalls_within_the_body",
            "app_that_closes_before_it_answers_fails_the_invocation",
            "app_that_dies_mid_body_fails_saying_how_far_it_got",
            "app_that_dies_mid_chunked_body_fails_saying_how_far_it_got",
            "app_that_dies_within_the_head_fails_the_invocation",
            "app_that_is_down_fails_the_invocation_and_recovers",
            "app_that_resets_mid_body_fails_the_invocation",
            "each_of_many_invocations_is_answered_once_with_its_own",
            "each_of_many_invocations_of_a_managed_instance_is_answered_once_with_its_own",
            "each_of_many_streamed_invocations_is_answered_once_with_its_own",
            "error_message_is_one_plain_sentence",
            "error_post_is_json_with_a_message_and_a_type",
            "error_type_of_the_apps_own_reaches_step_functions",
            "event_posted_to_the_pass_through_path_is_not_sent_twice",
            "event_that_is_not_json_fails_its_invocation_alone",
            "event_that_is_not_utf_8_fails_its_invocation_alone",
            "failing_invocation_touches_no_other",
            "failure_before_the_head_is_an_ordinary_error",
            "failure_is_logged_with_its_cause",
            "fresh_connection_that_fails_is_not_retried",
            "head_over_a_mebibyte_fails_the_invocation",
            "head_that_never_ends_fails_the_invocation",
            "interim_answers_without_end_fail_the_invocation",
            "loop_goes_on_after_every_kind_of_failure",
            "malformed_framing_fails_the_invocation",
            "malformed_heads_fail_the_invocation",
            "more_than_a_thousand_headers_fail_the_invocation",
            "no_invocation_waits_for_an_idle_connection_to_the_only_worker",
            "post_that_was_fully_written_is_not_sent_twice",
            "request_is_not_retried_once_the_answer_has_begun",
            "request_is_retried_once_and_no_more",
            "status_in_the_error_list_fails_the_invocation",
            "status_in_the_error_list_is_not_streamed",
            "status_in_the_error_list_is_reported_in_plain_text",
            "status_list_may_end_with_a_comma",
            "streamed_answers_cannot_smuggle_towards_lambda",
        ],
    ),
    (
        "takes 101 for a response",
        &["answer_to_a_protocol_we_never_asked_for_fails_the_invocation"],
    ),
    (
        "has no limit on how long the app may take",
        &[
            "a_deadline_in_the_past_counts_as_none",
            "a_margin_larger_than_the_time_left_is_half_of_it",
            "app_that_hangs_fails_in_time_when_a_margin_is_set",
            "app_that_hangs_is_named_in_the_log_before_the_deadline",
            "body_that_drips_fails_in_time_when_a_margin_is_set",
            "body_that_stalls_fails_in_time_when_a_margin_is_set",
            "head_that_drips_fails_in_time_when_a_margin_is_set",
            "stream_that_stalls_ends_in_time_when_a_margin_is_set",
        ],
    ),
    (
        "forwards the framing and hop-by-hop headers of both sides, and sends content-length with \
            every request",
        &[
            "chunked_wins_over_content_length_and_ends_the_connection",
            "content_length_is_our_own",
            "each_answer_becomes_its_reply",
            "each_event_becomes_its_request",
            "framing_headers_of_the_app_are_removed",
            "get_without_a_body_has_no_body_headers",
            "hop_by_hop_headers_are_removed",
            "hop_by_hop_headers_of_the_app_are_removed",
            "interim_answers_are_skipped",
            "largest_reply_lambda_takes_is_posted_and_one_byte_more_is_not",
            "nothing_is_added_that_neither_client_nor_lambda_sent",
        ],
    ),
    (
        "warns for each request without the authorization source",
        &["authorization_stays_when_the_other_header_is_absent"],
    ),
    (
        "ends the process over a client context it cannot type",
        &[
            "client_context_of_an_odd_shape_is_carried_as_json",
            "client_context_that_is_not_json_becomes_null",
            "lambda_context_escapes_what_no_header_can_hold",
        ],
    ),
    (
        "knows nothing of the contract of Web Functions",
        &[
            "an_endpoint_that_the_adapter_cannot_reach_is_refused",
            "endpoint_of_web_functions_names_the_port_where_no_other_variable_does",
            "id_of_the_invocation_is_sent_as_in_web_functions",
        ],
    ),
    (
        "lets clients send the tenant",
        &["clients_cannot_send_what_lambda_vouches_for"],
    ),
    (
        "re-types the request context and writes raw UTF-8 into headers",
        &[
            "context_headers_are_ascii_and_lose_nothing",
            "request_context_is_the_events_with_every_key",
            "request_context_with_line_ends_between_its_keys_is_still_one_header",
        ],
    ),
    (
        "has no setting for it",
        &[
            "booleans_have_eight_spellings_in_any_case",
            "connection_idle_for_longer_than_the_limit_is_replaced",
            "context_headers_can_be_switched_off",
            "idle_timeout_of_0_uses_each_connection_once",
            "readiness_timeout_bounds_an_app_that_accepts_and_says_nothing",
            "readiness_timeout_fails_init",
            "readiness_timeout_of_zero_or_less_is_no_limit",
            "seconds_may_have_a_fraction",
            "traceparent_is_derived_from_the_trace_id_when_asked_for",
        ],
    ),
    (
        "joins cookies without a space, or not at all",
        &[
            "cookies_of_a_function_url_event_are_not_sent_twice",
            "cookies_of_an_http_api_event_become_one_cookie_header",
            "cookies_that_a_client_split_become_one_cookie_header",
        ],
    ),
    (
        "takes empty headers of /next for present",
        &[
            "empty_headers_of_next_count_as_absent",
            "trace_id_of_the_event_stays_when_the_invocation_has_none",
        ],
    ),
    (
        "posts the whole event to the pass-through path, or dies, when a field is odd",
        &[
            "alb_event_with_null_or_missing_maps_is_an_http_request",
            "bad_request_is_refused_within_a_stream",
            "body_that_is_not_base64_gets_400",
            "host_with_a_control_byte_gets_400",
            "method_that_is_no_token_gets_400",
            "odd_header_names_cost_that_header_only",
            "odd_header_values_cost_that_header_at_most",
            "odd_query_and_header_maps_leave_an_http_event_an_http_request",
            "odd_types_anywhere_leave_an_http_event_an_http_request",
        ],
    ),
    (
        "sends the last of repeated request headers only",
        &["repeated_headers_of_a_rest_event_all_arrive_in_order"],
    ),
    (
        "probes without a time limit",
        &["a_probe_that_is_never_answered_does_not_stop_readiness"],
    ),
    (
        "does not report it",
        &[
            "a_refused_answer_does_not_end_the_loop",
            "cookies_of_a_lattice_reply_have_names_that_differ_in_case",
            "cookies_of_a_single_value_alb_reply_have_names_that_differ_in_case",
            "first_healthy_status_is_named_with_its_path_when_it_looks_wrong",
            "headers_that_api_gateway_does_not_read_to_their_end_are_logged",
            "log_says_how_long_the_app_took_to_be_ready",
            "readiness_says_the_last_error_while_it_waits",
            "readiness_says_the_last_status_while_it_waits",
            "registration_refused_ends_the_process_with_a_message",
            "unknown_variable_is_warned_about_with_the_nearest_name",
        ],
    ),
    (
        "replies `null` to pass-through events unless the response has a JSON type, and \
            re-serialises it",
        &[
            "answer_that_is_not_json_becomes_a_json_string",
            "answer_that_is_not_utf_8_is_still_a_json_string",
            "batch_gets_null_where_the_body_is_no_json_object",
            "each_kind_of_event_is_answered_in_its_turn",
            "json_answer_is_handed_back_byte_for_byte_whatever_its_type",
            "partial_batch_failure_reaches_lambda",
        ],
    ),
    (
        "ignores the status of a response to a pass-through event",
        &[
            "error_status_fails_the_invocation",
            "missing_route_for_events_is_named_with_the_setting",
        ],
    ),
    (
        "sends warm-up pings to the app",
        &["warm_up_pings_get_null_without_the_app"],
    ),
    (
        "always registers as `lambda-adapter`",
        &[
            "extension_name_is_that_of_the_link_in_the_extensions_directory",
            "extension_name_is_the_name_of_the_file",
        ],
    ),
    (
        "does not know the invocation id",
        &[
            "invocation_id_is_echoed_on_a_stream",
            "invocation_ids_are_echoed_to_their_own_invocations",
            "invocation_id_is_echoed_when_lambda_gave_one",
        ],
    ),
    (
        "ends the process at the first failure of /next or of registration",
        &[
            "api_answers_next_with_an_error",
            "api_answers_next_with_garbage",
            "api_closes_between_invocations",
            "api_cuts_an_invocation_short",
            "api_gives_no_request_id",
            "api_gives_the_same_id_twice",
            "api_hangs_up_on_a_stream",
            "api_never_answers_a_post",
            "api_refuses_an_answer",
            "api_sends_an_invocation_without_end",
            "api_sends_what_is_not_json",
            "next_refused_for_good_ends_the_process_with_one_line",
            "next_that_fails_now_and_then_is_asked_again",
            "next_that_fails_on_all_threads_but_one_ends_the_process_after_that_one",
            "next_that_fails_on_one_thread_ends_the_process_after_the_others",
            "next_that_recovers_leaves_every_thread_serving",
            "registration_waits_a_while_for_an_api_that_is_not_up_yet",
        ],
    ),
    (
        "dies of SIGTERM",
        &[
            "sigterm_lets_the_invocation_in_flight_finish",
            "sigterm_while_idle_ends_with_exit_code_0",
        ],
    ),
    (
        "has a log layout of its own",
        &[
            "json_lines_have_what_lambda_filters_by",
            "level_is_lambdas",
            "log_lines_carry_the_request_id_of_their_invocation",
            "secrets_are_not_logged",
        ],
    ),
    (
        "takes authorizer events for requests",
        &["authorizer_events_that_look_like_requests_pass_through"],
    ),
    (
        "sends no context with events it does not know",
        &["websocket_event_passes_through_with_its_context"],
    ),
    ("takes a hundred headers", &["a_thousand_headers_are_fine"]),
    (
        "takes Lattice events for unknown ones",
        &[
            "alb_reply_has_a_status_description",
            "repeated_header_of_a_single_value_reply_is_joined",
            "reply_to_each_kind_has_its_shape",
        ],
    ),
    (
        "decides text by content type alone and rewrites bytes that are not UTF-8",
        &[
            "body_without_a_type_is_text_exactly_when_it_is_utf_8",
            "byte_order_mark_is_kept",
            "encoded_body_is_base64_and_identity_is_no_encoding",
            "latin_1_header_byte_becomes_that_character",
            "latin_1_page_of_a_rest_api_is_warned_about_once_with_the_cure",
            "text_type_with_bytes_that_are_not_utf_8_is_base64",
            "textual_types_are_text",
            "utf_8_is_text_whatever_its_charset_says",
            "what_turns_out_late_not_to_be_text_is_base64_from_its_first_byte",
        ],
    ),
    (
        "posts replies that Lambda rejects for their size",
        &[
            "size_limit_counts_base64_and_json_escapes",
            "what_is_too_large_even_compressed_fails_and_the_next_is_answered",
        ],
    ),
    (
        "does not retry",
        &[
            "idempotent_request_on_a_stale_connection_is_retried_once_on_a_fresh_one",
            "no_get_fails_and_no_post_comes_twice_when_the_adapter_is_frozen_now_and_then",
            "no_get_fails_and_no_post_comes_twice_when_the_app_closes_idle_connections",
            "no_get_fails_and_no_post_comes_twice_when_the_app_is_frozen_now_and_then",
            "reset_of_a_stale_connection_is_retried_as_a_close_is",
        ],
    ),
    (
        "takes the default, waits for ever or panics over a bad or missing setting",
        &[
            "bad_booleans_are_refused_with_the_spellings",
            "bad_choices_are_refused_with_the_choices",
            "bad_host_is_refused",
            "bad_numbers_are_refused",
            "bad_ports_are_refused",
            "bad_status_lists_are_refused",
            "every_bad_setting_is_named_at_once",
            "missing_function_name_does_not_matter_much",
            "missing_runtime_api_ends_with_a_message_that_names_it",
            "paths_with_control_characters_or_a_fragment_are_refused",
            "registration_precedes_the_complaint_about_a_setting",
        ],
    ),
    (
        "streams with the trailers in the body, a list for repeated headers, a type of its own, \
            in small writes, to every kind of event",
        &[
            "app_that_dies_mid_stream_ends_it_with_error_trailers",
            "events_that_cannot_stream_get_a_plain_buffered_answer",
            "lambda_hanging_up_ends_the_app_connection_and_nothing_else",
            "prelude_holds_status_headers_and_cookies",
            "small_answer_leaves_in_one_piece",
            "streamed_answer_adds_no_content_type_and_no_framing",
        ],
    ),
    (
        "parses paths and queries as a browser would, and aborts where it cannot",
        &[
            "alb_query_values_are_encoded_already_and_left_alone",
            "alb_query_values_cannot_break_out_of_the_target",
            "dots_and_backslashes_in_a_path_are_not_resolved",
            "path_longer_than_64_kib_is_sent",
            "percent_sign_of_a_front_that_decodes_paths_is_encoded_unless_it_starts_a_triplet",
            "query_bytes_that_no_target_can_hold_are_percent_encoded",
            "query_order_is_the_events",
            "question_mark_in_a_decoded_path_stays_in_the_path",
            "raw_query_string_is_sent_byte_for_byte",
            "rest_query_values_are_percent_encoded_once",
        ],
    ),
    (
        "strips the base path again and again, and in the middle of a segment",
        &[
            "base_path_is_stripped_in_either_spelling",
            "base_path_is_stripped_only_at_a_segment_boundary",
            "base_path_may_end_or_lack_a_slash",
        ],
    ),
    (
        "exits or sends invalid HTTP",
        &[
            "header_values_cannot_smuggle",
            "headers_that_no_front_end_accepts_are_refused_with_431_and_queries_with_400",
            "host_cannot_smuggle",
            "host_of_an_app_on_ipv6_has_brackets_in_probes_and_requests",
            "mutated_answers_are_each_answered_once_to_lambda",
            "mutated_answers_are_each_answered_once_to_lambda_in_a_stream",
            "mutated_answers_are_each_answered_once_to_lambda_when_compressing",
            "mutated_events_are_each_answered_once_and_reach_the_app_as_http",
            "query_cannot_smuggle",
            "request_context_cannot_smuggle",
            "what_lambda_says_of_the_invocation_cannot_smuggle",
        ],
    ),
    (
        "registers with the proxy, and does not wait for it",
        &[
            "addresses_that_are_none_are_refused",
            "init_errors_go_where_lambda_hears_them",
            "invocations_go_through_the_proxy_and_registration_does_not",
            "proxy_that_is_not_up_yet_is_waited_for",
            "proxy_that_never_comes_up_ends_the_process_with_its_address",
            "streams_go_through_the_proxy",
        ],
    ),
    (
        "takes no part in SnapStart",
        &[
            "any_2xx_is_success_for_a_hook",
            "async_init_is_ignored_with_a_warning_where_init_has_time",
            "every_thread_serves_after_the_restore",
            "failing_hook_after_the_restore_is_a_restore_error",
            "failing_hook_before_the_snapshot_is_an_init_error",
            "hook_path_is_closed_behind_the_base_path_too",
            "hook_path_that_cannot_be_guarded_fails_init",
            "hook_paths_are_closed_in_every_kind_of_event_and_without_snap_start",
            "hook_paths_are_closed_to_any_method_and_to_streaming",
            "hook_paths_are_closed_to_each_kind_of_http_event",
            "hook_paths_are_closed_to_the_outside_however_they_are_spelled",
            "hook_paths_are_closed_where_the_base_path_has_been_removed",
            "hooks_are_empty_posts_on_either_side_of_the_snapshot",
            "invocations_use_a_fresh_connection_to_lambda_after_the_restore",
            "log_says_what_happened_and_how_long_it_took",
            "no_connection_outlives_the_checkpoint",
            "no_connection_to_the_app_lives_through_the_snapshot",
            "readiness_hook_restore_hook_readiness_and_only_then_invocations",
            "readiness_is_checked_again_after_the_restore",
            "refused_snapshot_is_an_init_error",
            "sigterm_while_the_snapshot_is_awaited_ends_with_exit_code_0",
            "snapshot_is_asked_for_after_readiness_and_before_any_invocation",
            "what_takes_too_long_after_the_restore_is_told_before_lambda_ends_it",
        ],
    ),
    (
        "has one path for all events",
        &[
            "misspelt_placeholder_of_the_pass_through_path_is_refused",
            "pass_through_path_may_name_the_source_of_each_event",
        ],
    ),
    (
        "has no work after the response",
        &[
            "a_deadline_in_the_past_leaves_the_hook_its_time",
            "a_failing_hook_is_a_warning_and_nothing_else",
            "a_freeze_in_the_hook_counts_towards_its_time",
            "a_hook_that_hangs_ends_at_the_margin",
            "a_hook_that_responds_early_or_at_length_is_no_fault",
            "a_hook_without_time_is_not_requested",
            "an_app_that_dies_in_the_hook_is_restarted",
            "an_app_that_refuses_the_hook_is_warned_about",
            "each_slot_of_a_managed_instance_waits_for_its_own",
            "it_does_not_follow_what_never_reached_the_app",
            "it_follows_responses_streams_events_and_failures",
            "it_is_not_requested_before_the_snapshot",
            "it_uses_the_connection_of_the_response",
            "its_path_is_closed_to_clients_in_every_kind_of_event",
            "the_end_after_a_signal_waits_for_the_hook",
            "the_hook_is_an_empty_post_with_the_contexts_of_the_invocation",
            "the_next_invocation_is_requested_only_after_the_hook_has_responded",
            "the_whole_response_of_the_hook_is_awaited",
        ],
    ),
    (
        "never splits a batch",
        &[
            "a_batch_without_any_success_fails_the_invocation",
            "a_deadline_in_the_past_leaves_records_their_time",
            "a_freeze_within_a_batch_counts_towards_its_time",
            "a_group_of_a_fifo_queue_waits_for_its_failure",
            "a_message_that_cannot_be_decoded_fails_alone",
            "a_notification_that_fails_fails_the_invocation",
            "a_record_that_breaks_its_connection_fails_alone",
            "a_record_with_a_response_early_or_at_length_has_succeeded",
            "a_record_without_time_fails_with_all_that_follow_and_the_reply_goes_out",
            "a_stream_goes_on_from_its_first_failure",
            "an_app_that_dies_as_a_child_fails_the_record_and_all_that_follow",
            "an_app_that_goes_away_fails_the_record_and_all_that_follow",
            "an_app_that_is_down_fails_the_invocation",
            "clients_cannot_send_the_headers_of_a_record",
            "each_record_is_a_request_with_its_message_in_order",
            "listed_ids_are_those_of_the_records_without_2xx_in_batches_of_any_size",
            "records_go_to_the_path_of_their_source",
            "slow_records_are_not_begun_after_the_margin",
            "the_hook_after_the_response_follows_a_batch_once",
            "the_reply_lists_the_messages_without_success",
            "the_setting_that_partial_failures_need_is_named_once",
        ],
    ),
    (
        "forwards a second `Host`, and headers that servers take for reserved ones",
        &[
            "connection_cannot_name_away_what_the_front_end_says_of_the_client",
            "names_that_become_the_same_variable_cannot_pass_for_what_is_vouched_for",
            "proxy_header_is_dropped",
            "second_host_is_refused",
        ],
    ),
    (
        "keeps idle connections for each task, and closes none in time",
        &[
            "idle_connections_are_closed_in_time_while_all_threads_wait",
            "idle_timeout_of_0_closes_after_each_response",
            "one_worker_serves_every_thread_after_a_tcp_probe_and_after_an_http_probe",
            "one_worker_serves_every_thread_under_constant_load",
        ],
    ),
    (
        "does not look at the limit of descriptors",
        &[
            "app_keeps_the_limit_that_the_adapter_was_started_with",
            "hard_limit_below_the_need_means_fewer_threads_and_a_reply_to_each",
            "soft_limit_is_raised_for_all_streams_at_once",
        ],
    ),
    (
        "has no priming",
        &[
            "a_client_cannot_pass_for_priming",
            "a_failure_of_priming_is_logged_and_fails_nothing",
            "on_demand_paths_are_primed_only_where_the_setting_says_always",
            "paths_are_primed_before_the_hook_of_the_snapshot",
            "paths_are_primed_in_order_with_provisioned_concurrency",
            "paths_are_primed_on_managed_instances_before_the_first_poll",
            "priming_takes_half_of_what_init_has_left_at_most",
        ],
    ),
    (
        "bounds no message, and writes all lines to stdout",
        &[
            "a_failure_names_its_cause_behind_a_long_path",
            "a_log_that_nothing_reads_holds_no_invocation",
            "a_method_is_cut_in_the_response_to_its_client",
            "a_refused_error_is_followed_by_a_short_one",
            "an_error_page_of_any_size_and_content_fails_its_invocation_alone",
            "an_error_page_that_is_not_text_is_posted_as_text",
            "an_error_type_of_the_app_is_cut",
            "an_event_that_is_no_request_has_the_same_limits",
            "an_init_error_is_bounded",
            "output_of_the_app_that_nothing_reads_holds_no_invocation",
        ],
    ),
    (
        "registers while it waits for the app",
        &["registration_is_the_first_act_and_precedes_readiness"],
    ),
    (
        "reads ahead of Lambda",
        &["slow_reader_holds_the_app_back_and_costs_no_memory"],
    ),
    (
        "warns of `HOST`",
        &["port_and_host_have_short_names_that_are_not_deprecated"],
    ),
];

/// Kinds of event that the other adapter does not take for HTTP requests; each has tests of its
/// own.
const UNSUPPORTED_KINDS: &[&str] = &["Lattice"];

/// Tests of extensions, which do not apply where the adapter starts the app.
const EXTENSION_ONLY: &[&str] = &[
    "extension_name_is_the_name_of_the_file",
    "extension_name_is_that_of_the_link_in_the_extensions_directory",
    "registration_refused_ends_the_process_with_a_message",
    "registration_precedes_the_complaint_about_a_setting",
    "missing_runtime_api_ends_with_a_message_that_names_it",
];

/// The process of an app that the adapter starts, while the test itself serves its requests: one
/// process that exits at the end of its input, so that none is left over.
pub const APP: [&str; 4] = ["--", "/bin/sh", "-c", "trap 'exit 0' TERM; read line"];

/// The adapter's command line in the test that calls this.
pub fn arguments() -> Vec<String> {
    match env::var("ADAPTER_MODE").as_deref() {
        Ok("entrypoint") if !EXTENSION_ONLY.contains(&current_test().as_str()) => {
            APP.map(str::to_owned).to_vec()
        }
        Ok("entrypoint" | "extension") | Err(_) => Vec::new(),
        Ok(other) => panic!("ADAPTER_MODE is extension or entrypoint, not {other}"),
    }
}

/// The name of the test that calls this, without its file.
fn current_test() -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or_default();
    name.rsplit("::").next().unwrap_or_default().to_owned()
}

/// Whether the test that calls this is about starting the app, which the other adapter never does.
fn is_entrypoint_test() -> bool {
    let thread = thread::current();
    thread.name().is_some_and(|name| {
        ["lifecycle::entrypoint::", "lifecycle::stdio::"]
            .iter()
            .any(|file| name.starts_with(file))
    })
}

/// Whether the adapter under test does not support a kind of event.
pub fn does_not_support(kind: &str) -> bool {
    is_other() && UNSUPPORTED_KINDS.contains(&kind)
}

/// The tests in the table.
pub fn tests() -> impl Iterator<Item = &'static str> {
    DIFFERENCES
        .iter()
        .flat_map(|(_, tests)| tests.iter().copied())
}

fn is_other() -> bool {
    env::var("ADAPTER_IS").is_ok_and(|name| name == "lwa")
}

/// The binary for the test that calls this.
pub fn adapter() -> PathBuf {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_lambda-adapter"));
    let Some(given) = env::var_os("ADAPTER") else {
        return ours;
    };
    let name = current_test();
    match DIFFERENCES
        .iter()
        .find(|(_, tests)| tests.contains(&name.as_str()))
    {
        _ if is_other() && is_entrypoint_test() => ours,
        Some((reason, _)) if is_other() => {
            // Written directly to stderr, since the test harness captures `eprintln!`.
            let _ = writeln!(
                std::io::stderr(),
                "{name}: tested with our own, since the other adapter {reason}"
            );
            ours
        }
        _ => given.into(),
    }
}
