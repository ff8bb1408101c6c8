//! Detects client requests for the paths of the app's hooks, in any spelling.
//!
//! Servers and frameworks differ in how they route a path: they decode it once or twice, treat
//! `%2F` and `\` as a slash or not, merge slashes before or after resolving dot segments, drop
//! `;` parameters, and may ignore case, an extension, or the rest of the path. Many route by the
//! end of the path only: a front controller by what follows the script's name
//! (`/index.php/hook`, PATH_INFO in RFC 3875 4.1.5), a mounted app by what follows its prefix, a
//! function by what follows the stage; some front controllers take the route from the query
//! (`/index.php?/hook`, `/?r=hook`), under names that each language reads in its own way, so any
//! name counts. No single normal form covers all of them. The comparison therefore accepts every
//! spelling that any of them might route to the hook, behind any prefix, and every path below it;
//! some harmless paths match, too. For the same reason the path of a hook must be plain (RFC 3986
//! 2.1, 3.3, 6.2; RFC 3629 10 on overlong forms; WHATWG URL 4.4 on backslashes).

/// Whether the path can be guarded: unreserved characters between single slashes, and no
/// segment that consists of dots.
pub fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.strip_suffix('/')
        .unwrap_or(rest)
        .split('/')
        .all(|segment| segment.bytes().all(plain) && !segment.trim_matches('.').is_empty())
}

/// Whether a server might route the request target to the hook or to a path below it.
pub fn matches(hook: &str, target: &[u8]) -> bool {
    let mut parts = target.splitn(2, |byte| *byte == b'?');
    let path = decoded(parts.next().unwrap_or_default());
    let query = parts.next().unwrap_or_default();
    // Some languages end a string at NUL. No useful path contains it.
    if path.contains(&0) {
        return true;
    }
    let hook = hook.to_ascii_lowercase();
    let hook = segments(hook.as_bytes());
    // Some servers separate the parts by `;`, or end the route at a second `?`.
    path_matches(&hook, &path)
        || query
            .split(|byte| matches!(byte, b'&' | b';' | b'?' | b'='))
            .any(|part| begins_with(&hook, &segments(&decoded(part))))
}

fn path_matches(hook: &[&[u8]], path: &[u8]) -> bool {
    let (given, Some((last, first))) = (segments(path), hook.split_last()) else {
        return true;
    };
    // The result of normalizing such a path depends on the server, which may also read its
    // start as a host. In every case segments are only removed, so the hook's segments must
    // occur in order.
    let is_ambiguous = path.windows(2).any(|pair| pair == b"//")
        || path.contains(&b';')
        || given.contains(&&b".."[..]);
    if is_ambiguous {
        let mut rest = given.iter();
        return first
            .iter()
            .all(|wanted| rest.any(|segment| segment == wanted))
            && rest.any(|segment| stem(segment) == stem(last));
    }
    given
        .windows(hook.len())
        .any(|given| begins_with(hook, given))
}

/// Whether the path begins with the hook. Routes often match with any extension, and files
/// without theirs.
fn begins_with(hook: &[&[u8]], given: &[&[u8]]) -> bool {
    let Some((last, first)) = hook.split_last() else {
        return true;
    };
    given.starts_with(first)
        && given
            .get(first.len())
            .is_some_and(|segment| stem(segment) == stem(last))
}

/// The path decoded until no escape is left, in lower case, with `/` for `\`, and without
/// blanks (`+` is one in a query) and control bytes.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        out.push(*byte);
        // A decoded byte may complete another escape.
        while let Some((length, byte)) = escape(&out) {
            out.truncate(out.len() - length);
            out.push(byte);
        }
    }
    out.retain(|byte| !matches!(byte, 1..=b' ' | b'+' | 0x7f));
    for byte in &mut out {
        *byte = match *byte {
            b'\\' => b'/',
            _ => byte.to_ascii_lowercase(),
        };
    }
    out
}

/// The escape at the end of the text: its length and the byte that it encodes.
fn escape(text: &[u8]) -> Option<(usize, u8)> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    if let [.., high, low] = *text
        && let (Some(high), Some(low)) = (hex(high), hex(low))
    {
        let length = match *text {
            [.., b'%', _, _] => 3,
            [.., b'%', b'u' | b'U', b'0', b'0', _, _] => 6,
            _ => return None,
        };
        return Some((length, (high << 4 | low) as u8));
    }
    match *text {
        // Overlong UTF-8 of ASCII.
        [.., 0xE0, 0x80, low @ 0x80..=0xBF] => Some((3, low & 0x3F)),
        [.., 0xE0, 0x81, low @ 0x80..=0xBF] => Some((3, low & 0x3F | 0x40)),
        [.., 0xC0, low @ 0x80..=0xBF] => Some((2, low & 0x3F)),
        [.., 0xC1, low @ 0x80..=0xBF] => Some((2, low & 0x3F | 0x40)),
        // Letters that case folding maps to ASCII: long s, Kelvin, dotted and dotless i.
        [.., 0xC5, 0xBF] => Some((2, b's')),
        [.., 0xE2, 0x84, 0xAA] => Some((3, b'k')),
        [.., 0xC4, 0xB0 | 0xB1] => Some((2, b'i')),
        // Full-width forms.
        [.., 0xEF, 0xBC, low @ 0x81..=0xBF] => Some((3, low - 0x60)),
        [.., 0xEF, 0xBD, low @ 0x80..=0x9E] => Some((3, low - 0x20)),
        _ => None,
    }
}

/// The segments that remain once empty ones and `.` are removed. `?` and `#` separate, too:
/// a server may decode them early and end the path there; `;` starts parameters, which may
/// contain a slash; NUL ends a string in some languages.
fn segments(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| matches!(byte, b'/' | b'?' | b'#' | b';' | 0))
        .filter(|segment| !matches!(*segment, b"" | b"."))
        .collect()
}

/// The name without its extensions and without a leading dot.
fn stem(segment: &[u8]) -> &[u8] {
    let mut parts = segment.split(|byte| *byte == b'.');
    parts.find(|part| !part.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: &str = "/snapstart/before-checkpoint";

    #[test]
    fn spellings_that_some_server_routes_to_the_hook_match() {
        for path in [
            HOOK,
            // An added slash, segment or extension.
            "/snapstart/before-checkpoint/",
            "/snapstart/before-checkpoint/more",
            "/snapstart/before-checkpoint?x=1",
            "/snapstart/before-checkpoint.json",
            "/snapstart/before-checkpoint.",
            // Case, in ASCII and beyond.
            "/SnapStart/Before-Checkpoint",
            "/%C5%BFnap%C5%BFtart/before-chec%E2%84%AApo%C4%B1nt",
            // Encoded once, twice, and in pieces.
            "/%73napstart/before-checkpoint",
            "/snapstart%2fbefore-checkpoint",
            "/snapstart%2Fbefore-checkpoint",
            "/snapstart%252fbefore-checkpoint",
            "/snapstart/before%25252Dcheckpoint",
            "/snapstart%2%66before-checkpoint",
            "/snapstart%u002fbefore-checkpoint",
            // Overlong and full-width forms.
            "/snapstart%c0%afbefore-checkpoint",
            "/snapstart%e0%80%afbefore-checkpoint",
            "/%c1%b3napstart/before-checkpoint",
            "/%e0%81%b3napstart/before-checkpoint",
            "/snapstart%ef%bc%8fbefore-checkpoint",
            "/%ef%bd%93napstart/before-checkpoint",
            // Double slashes, backslashes, and a possible host in front.
            "//snapstart//before-checkpoint",
            "/snapstart%5Cbefore-checkpoint",
            "/snapstart%255cbefore-checkpoint",
            "//evil.example/snapstart/before-checkpoint",
            "/%5Cevil.example/snapstart/before-checkpoint",
            "/.//evil.example/snapstart/before-checkpoint",
            // Dots, resolved before or after anything else.
            "/./snapstart/./before-checkpoint/.",
            "/x/../snapstart/before-checkpoint",
            "/snapstart/x/../before-checkpoint",
            "/../../snapstart/before-checkpoint",
            "/snapstart/before-checkpoint/x/..",
            "/snapstart//../before-checkpoint",
            "/snapstart/a%2fb/../before-checkpoint",
            "/snapstart/%2e%2e/snapstart/before-checkpoint",
            "/snapstart/%252e%252e/snapstart/before-checkpoint",
            "/x/.%2e/snapstart/before-checkpoint",
            // Parameters.
            "/snapstart/before-checkpoint;jsessionid=1",
            "/snapstart;v=1/before-checkpoint",
            "/;x/snapstart/before-checkpoint",
            "/x/..;/snapstart/before-checkpoint",
            "/snapstart;a%2fb/before-checkpoint",
            "/snapstart/before-checkpoint%3bx",
            // Early ends, and blanks.
            "/snapstart/before-checkpoint%3Fx=1",
            "/snapstart/before-checkpoint%23x",
            "/snapstart/before-checkpoint%00.png",
            "/snap%00start/before-checkpoint",
            "/snapstart/before-checkpoint%20",
        ] {
            assert!(matches(HOOK, path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn routes_by_the_end_of_the_path_or_by_the_query_match() {
        for path in [
            // Behind a script, a mount point, or a stage.
            "/index.php/snapstart/before-checkpoint",
            "/a/b/index.php/snapstart/before-checkpoint/more",
            "/cgi-bin/app.cgi/SnapStart/before-checkpoint.json",
            "/prod/snapstart/before-checkpoint",
            "/prod%2fsnapstart%2fbefore-checkpoint",
            "/admin/v1/snapstart/before-checkpoint",
            // In the query, for front controllers without rewriting.
            "/index.php?/snapstart/before-checkpoint",
            "/?r=snapstart/before-checkpoint",
            "/index.php?a=b&_url=%2Fsnapstart%2Fbefore-checkpoint&c",
            "/?q=SnapStart//before-checkpoint/",
            "/snapstart/%09before-checkpoint%0d%0a",
            "/snap%0Astart/before-checkpoint",
            // Names that PHP takes for `r`, `url`, `_url` and `rest_route`.
            "/?+r=/snapstart/before-checkpoint",
            "/?r%00=/snapstart/before-checkpoint",
            "/?r%00x=/snapstart/before-checkpoint",
            "/?+url=/snapstart/before-checkpoint",
            "/?.url=/snapstart/before-checkpoint",
            "/?rest.route=/snapstart/before-checkpoint",
            "/?rest+route=/snapstart/before-checkpoint",
            "/?rest%20route=/snapstart/before-checkpoint",
            "/?rest[route=/snapstart/before-checkpoint",
            "/?r[]=/snapstart/before-checkpoint",
            "/login?next=/snapstart/before-checkpoint",
            // A route that ends early, a name as the route, and other separators.
            "/index.php?/snapstart/before-checkpoint?x=1",
            "/index.php?/snapstart/before-checkpoint=",
            "/?a=1;r=snapstart/before-checkpoint",
            "/?a=1;/snapstart/before-checkpoint",
            // Blanks and NUL around the value.
            "/?r=+snapstart/before-checkpoint+",
            "/?r=snapstart/before-checkpoint%00x",
            "/?r=%00snapstart/before-checkpoint",
        ] {
            assert!(matches(HOOK, path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn other_paths_do_not_match() {
        for path in [
            "/",
            "",
            "/snapstart",
            "/snapstart/",
            "/snapstart/before",
            "/snapstart/before-checkpoints",
            "/snapstart/before-checkpoint2.json",
            "/snapstart/after-restore",
            "/before-checkpoint",
            "/before-checkpoint/snapstart",
            "/snapstart-before-checkpoint",
            "/snapstart/docs/before-checkpoint",
            "/snapstart/../before-check",
            "/a;v=1/b;v=2",
            "//cdn.example/x.js",
            "/%E6%97%A5%E6%9C%AC/%E8%AA%9E",
            "/100%/x%zz",
            "/search/snapstart%20before-checkpoint",
            "/login?next=//x/snapstart/before-checkpoint",
            "/search?q=how+snapstart/before-checkpoint",
            "/?r=snapstart&s=before-checkpoint",
            "/login?next=/snapstart/before-checkpoints",
            "/?a=snapstart&before-checkpoint",
            "/?a=snapstart;/before-checkpoint?snapstart",
        ] {
            assert!(!matches(HOOK, path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn the_extension_of_the_hook_itself_is_ignored() {
        for path in ["/hook.php", "/hook", "/hook.html", "/hook.php/info"] {
            assert!(matches("/hook.php", path.as_bytes()), "{path}");
        }
        assert!(matches("/.snap", b"/.snap.json") && !matches("/.snap", b"/.other"));
    }

    #[test]
    fn long_paths_take_linear_time() {
        let nested = format!("/%{}73napstart/before-checkpoint", "25".repeat(500_000));
        assert!(matches(HOOK, nested.as_bytes()));
        for part in [
            "/snapstart",
            "/../snapstart",
            "?snapstart/",
            "?&=",
            "?a;snapstart/=",
            "//",
            ";",
        ] {
            assert!(!matches(
                HOOK,
                format!("/{}", part.repeat(500_000)).as_bytes()
            ));
        }
    }

    #[test]
    fn hook_paths_are_plain() {
        for path in [
            "/a",
            "/a/",
            "/hooks/before",
            "/.well-known/snap_start~1",
            HOOK,
        ] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "", "/", "//", "a", "a/b", "//a", "/a//b", "/a//", "/a?b", "/a#b", "/a%62", "/a;b",
            "/a\\b", "/./a", "/a/..", "/a/../b", "/a/...", "/a b", "/\u{e9}", "/a*", "/a:b",
            "/a\0",
        ] {
            assert!(!is_plain(path), "{path:?}");
        }
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }

        fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
            choices[self.below(choices.len() as u64) as usize]
        }
    }

    /// A random spelling of the path: letters in either case and escaped up to three times,
    /// slashes with segments that normalization removes.
    fn respelt(path: &str, random: &mut Random) -> String {
        let slashes = [
            "/",
            "/",
            "/",
            "//",
            "/./",
            "\\",
            "%2f",
            "%5C",
            "/x/../",
            "/%2e/",
            ";v=1/",
            "/;/",
            "/a%2fb/../",
            "/%252e%252e/",
            "/.%2E/",
        ];
        let mut out = String::new();
        for character in path.chars() {
            if character == '/' {
                out += random.pick(&slashes);
                continue;
            }
            let character = match random.below(2) {
                0 => character.to_ascii_uppercase(),
                _ => character,
            };
            match random.below(6) {
                0 => out += &format!("%{:02x}", u32::from(character)),
                1 => out += &format!("%{:02X}", u32::from(character)),
                2 => out += &format!("%{}{:02x}", "25".repeat(2), u32::from(character)),
                _ => out.push(character),
            }
        }
        out + random.pick(&["", "", "/", "/.", ";x", "%20", ".json", "/x/..", "/more"])
    }

    #[test]
    fn random_spellings_of_a_hook_match_and_those_of_other_paths_do_not() {
        let others = [
            "/",
            "/index.html",
            "/api/orders/17",
            "/snapstart",
            "/before",
            "/hooks/a",
        ];
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for _ in 0..20_000 {
            let hook = random.pick(&[HOOK, "/hook", "/a/b/c", "/_internal/after.restore/"]);
            let path = respelt(hook, &mut random);
            assert!(matches(hook, path.as_bytes()), "{hook} as {path}");
            let other = random.pick(&others);
            let path = respelt(other, &mut random);
            assert!(
                !matches(hook, path.as_bytes()),
                "{other} as {path} for {hook}"
            );
        }
    }
}
