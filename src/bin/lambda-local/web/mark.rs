//! The points in time of an invocation, from which the page draws its phases.

/// A point in the life of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The environment is free.
    Start,
    /// An init, or a restore, begins as a part of this invocation.
    InitStart,
    InitEnd,
    /// The runtime has received the event.
    Delivered,
    RequestStart,
    RequestEnd,
    ResponseStart,
    ResponseEnd,
    ReplyStart,
    ReplyEnd,
    /// The request of the adapter to the hook after the response.
    HookStart,
    HookEnd,
    /// The client has received the response.
    Sent,
    /// The invocation has been reported.
    Done,
}

pub const MARKS: [(&str, Mark); 14] = [
    ("start", Mark::Start),
    ("initStart", Mark::InitStart),
    ("initEnd", Mark::InitEnd),
    ("delivered", Mark::Delivered),
    ("requestStart", Mark::RequestStart),
    ("requestEnd", Mark::RequestEnd),
    ("responseStart", Mark::ResponseStart),
    ("responseEnd", Mark::ResponseEnd),
    ("replyStart", Mark::ReplyStart),
    ("replyEnd", Mark::ReplyEnd),
    ("hookStart", Mark::HookStart),
    ("hookEnd", Mark::HookEnd),
    ("sent", Mark::Sent),
    ("done", Mark::Done),
];
