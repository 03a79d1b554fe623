//! Free ports. Owns the promise that no two test processes of this machine get the same port; never hands one out
//! from the ephemeral range, where a client's own socket could sit on it when a broker comes back.

use std::fs::File;
use std::net::TcpListener;
use std::sync::Mutex;
use std::{env, fs, process};

use crate::random::Random;

/// Below Linux's default ephemeral range (32768 and up), above the ports of usual services.
const FIRST: u64 = 15_000;
const COUNT: u64 = 17_000;

/// A port that nobody listens on and that stays this process's own until it ends.
pub fn free() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let directory = env::temp_dir().join("replisome-ports");
    fs::create_dir_all(&directory).expect("create the directory of port locks");
    let mut held = HELD.lock().expect("port locks");
    let mut random = Random::new(u64::from(process::id()) << 20 | held.len() as u64);
    for _ in 0..1_000 {
        let port = (FIRST + random.below(COUNT)) as u16;
        let Ok(lock) = File::create(directory.join(port.to_string())) else { continue };
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            held.push(lock);
            return port;
        }
    }
    panic!("no free port among 1,000 tries");
}
