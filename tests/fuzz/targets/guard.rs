//! The guard of the SnapStart hooks: every spelling of a hook's path matches, and all spellings
//! of a path have the same result.

use lambda_adapter::http::path_guard::{is_plain, matches};

use super::bytes::Bytes;

const HOOKS: [&str; 4] = [
    "/hook",
    "/snapstart/before-checkpoint",
    "/a/b/c.php",
    "/_x/.y/",
];

/// Those that only frameworks which normalize a path accept are last.
const SLASHES: [&str; 9] = [
    "/", "//", "\\", "%2f", "%255C", "/%2e/", "/./", "/x/../", ";v=1/",
];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let hook = HOOKS[bytes.below(HOOKS.len())];
    let spelling = respell(hook, &mut bytes);
    assert!(
        matches(hook, &spelling),
        "{hook} as {}",
        spelling.escape_ascii()
    );
    const PREFIXES: [&str; 4] = ["/index.php", "/a/b/app.cgi", "/prod", "/v1%2fadmin"];
    let prefix = PREFIXES[bytes.below(PREFIXES.len())];
    let behind = [prefix.as_bytes(), &spelling].concat();
    assert!(
        matches(hook, &behind),
        "{hook} as {}",
        behind.escape_ascii()
    );
    const PARTS: [&str; 6] = ["", "r=", "a=1&+url=", "a;rest[route=", "r%00x=", "/x?b="];
    let part = PARTS[bytes.below(PARTS.len())];
    let route = hook.trim_matches('/').replace('/', SLASHES[bytes.below(6)]);
    let end = ["", "/", "?a", "&a", ";a", "=a", "%00a", "+"][bytes.below(8)];
    let query = format!("/index.php?{part}{}{end}", route.to_ascii_uppercase());
    assert!(matches(hook, query.as_bytes()), "{hook} as {query}");
    let path = bytes.0;
    let _ = is_plain(&String::from_utf8_lossy(path));
    let matched = matches(hook, path);
    // An escaped `?` or `#` does not end the path as a literal one does.
    if path.contains(&b'?') || path.contains(&b'#') {
        return;
    }
    let escaped: String = path.iter().map(|byte| format!("%{byte:02x}")).collect();
    for other in [
        path.to_ascii_uppercase(),
        escaped.replace('%', "%25").into(),
        escaped.into(),
    ] {
        let both = || format!("{} and {}", path.escape_ascii(), other.escape_ascii());
        assert_eq!(matched, matches(hook, &other), "{}", both());
    }
}

/// A spelling of the path: letters escaped or not, and slashes with segments that normalization
/// removes.
fn respell(hook: &str, choices: &mut Bytes) -> Vec<u8> {
    const ENDS: [&str; 8] = ["", "/", "/.", ";x", "%20", "?a=b", "/x/..", "/more"];
    let mut out = String::new();
    for character in hook.trim_end_matches('/').chars() {
        let number = u32::from(character);
        match choices.below(5) {
            _ if character == '/' => out += SLASHES[choices.below(SLASHES.len())],
            0 => out += &format!("%{number:02x}"),
            1 => out += &format!("%25{number:02X}"),
            2 => out.push(character.to_ascii_uppercase()),
            _ => out.push(character),
        }
    }
    (out + ENDS[choices.below(ENDS.len())]).into_bytes()
}
