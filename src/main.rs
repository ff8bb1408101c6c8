//! The adapter's process: runs until it cannot go on, logs the reason in one line, exits.

use lambda_adapter::{logger, shutdown};

fn main() {
    let status = match lambda_adapter::run() {
        Ok(()) => 0,
        Err(fatal) => {
            logger::fatal(&fatal.to_string());
            fatal.exit_status()
        }
    };
    shutdown::exit(status)
}
