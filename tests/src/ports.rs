//! Ports that stay ours. A port found by binding to 0 and letting go may be taken by the next connection that leaves this
//! machine; so these lie below the ephemeral range, and a lock file per port keeps other test processes off it.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;

use rand::RngExt;

/// One port of 127.0.0.1, reserved until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    pub fn reserve() -> Self {
        let folder = std::env::temp_dir().join("postrider-ports");
        std::fs::create_dir_all(&folder).expect("create the folder of port locks");
        for _ in 0..500 {
            let number = rand::rng().random_range(10_000..32_000_u16);
            let lock =
                OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(number.to_string()));
            let Ok(lock) = lock else { continue };
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no free port between 10000 and 32000");
    }

    pub const fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}
