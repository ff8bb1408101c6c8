//! The adapter's process: runs until it cannot go on, says why in one line, ends.

fn main() {
    let fatal = lambda_adapter::run();
    lambda_adapter::end(&fatal)
}
