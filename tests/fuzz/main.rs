//! Runs the fuzz targets without a fuzzer, on stable Rust and within seconds.
//!
//! The inputs are all seeds and regressions and some thousand reproducible mutations of them.
//! `make fuzz` runs the same targets with a fuzzer and a time limit.

mod seeds;
mod targets;

/// The number of mutations for each target.
const ROUNDS: usize = 2000;

/// A xorshift generator with a fixed seed, so that failures are reproducible.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

const TOKENS: [&[u8]; 30] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"\x0b",
    b"\x0c",
    b"\xff",
    b"\xc3\xa9",
    b"\x7f",
    b"\\r\\n",
    b"\\0",
    b"%",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1 ",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b"-1",
    b"99999999999999999999",
    b",",
    b";",
    b"\"",
    b"{",
    b"null",
    b"\\u0000",
    b"\\ud800",
];

fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(5) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(20)).min(bytes.len());
        match random.below(7) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            2 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            3 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                bytes.splice(at..at, other[from..].iter().take(40).copied());
            }
            _ => drop(bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
        }
    }
    bytes
}

/// Prints the input of a failed check, to be kept as a regression.
struct PrintOnPanic<'a>(&'a [u8]);

impl Drop for PrintOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the input was b\"{}\"", self.0.escape_ascii());
        }
    }
}

fn run(target: &str) {
    let check = targets::TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = check.expect("a target");
    let seeds = seeds::of(target);
    let mut random = Random(0x5eed_1234_5678_9abd);
    let mutations = (0..ROUNDS).map(|_| mutate(&seeds, &mut random));
    for input in seeds.iter().cloned().chain(mutations) {
        let _print = PrintOnPanic(&input);
        check(&input);
    }
}

#[test]
fn heads_are_parsed_the_same_at_every_cut() {
    run("head");
}

#[test]
fn bodies_are_read_the_same_at_every_cut() {
    run("body");
}

#[test]
fn events_become_exactly_one_request() {
    run("request");
}

#[test]
fn responses_become_json_with_the_same_contents() {
    run("reply");
}

#[test]
fn settings_are_valid_or_reported() {
    run("settings");
}

#[test]
fn encodings_match_a_simple_implementation() {
    run("encodings");
}

#[test]
fn every_spelling_of_a_hook_matches() {
    run("guard");
}

#[test]
fn time_grows_in_proportion_to_the_size() {
    let seeds = seeds::of("growth");
    for input in seeds {
        let _print = PrintOnPanic(&input);
        targets::growth::check(&input);
    }
}

#[test]
#[cfg(feature = "compression")]
fn compressed_bodies_decode_to_the_input() {
    run("gzip");
}
