//! Ports that stay ours while nothing listens there. One found by binding to 0 and letting go may be taken by the next
//! connection that leaves this machine, and a server that is started again then finds it in use; so these lie below the
//! ephemeral range, and a lock file per port keeps other test processes off it.

use std::{
    fs::{File, OpenOptions},
    net::TcpListener,
    sync::Mutex,
};

/// Held until this process ends.
static LOCKS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that is ours from now on.
pub(crate) fn free_port() -> u16 {
    // As the harness of the whole product does, which therefore keeps off the same ports.
    let folder = std::env::temp_dir().join("postrider-ports");
    std::fs::create_dir_all(&folder).unwrap();
    for _ in 0..500 {
        let port = rand::random_range(10_000..32_000_u16);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(port.to_string()));
        let Ok(lock) = lock else { continue };
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            LOCKS.lock().unwrap().push(lock);
            return port;
        }
    }
    panic!("no free port between 10000 and 32000");
}

#[test]
fn a_port_is_given_once_and_never_to_a_connection() {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let port = free_port();
    assert!(port < first, "{port} is one for connections");
    let lock = File::open(std::env::temp_dir().join("postrider-ports").join(port.to_string())).unwrap();
    assert!(lock.try_lock().is_err(), "another process would take {port}");
}
