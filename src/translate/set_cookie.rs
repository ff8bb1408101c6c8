//! Names for several cookies in a reply that takes one value of each name.
//!
//! Names that differ in case are different keys in JSON, and one name to the client (RFC 9110
//! 5.1). Joining the values is no way: they hold commas (RFC 6265 3).

const NAME: &[u8] = b"set-cookie";
/// In how many cases its nine letters can be written. No browser keeps as many cookies of a site.
const CASES: usize = 512;

/// As many names as wanted, up to `CASES`. They ascend, so that a map which sorts its names
/// keeps the order of the cookies, and end with the lower case.
pub fn names(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (CASES.saturating_sub(count)..CASES).map(|case| {
        let mut letter = CASES;
        let to_case = |byte: &u8| {
            if *byte != b'-' {
                letter /= 2;
            }
            match case & letter {
                0 => byte.to_ascii_uppercase(),
                _ => *byte,
            }
        };
        NAME.iter().map(to_case).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ascend_to_the_lower_case_and_are_one_name() {
        for count in [0, 1, 2, 300, CASES, CASES + 1] {
            let names: Vec<_> = names(count).collect();
            assert_eq!(names.len(), count.min(CASES));
            assert!(names.is_sorted_by(|a, b| a < b));
            assert!(names.iter().all(|name| name.eq_ignore_ascii_case(NAME)));
            assert!(names.last().is_none_or(|last| last == NAME));
        }
    }
}
