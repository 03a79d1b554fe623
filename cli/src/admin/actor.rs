//! Who asks: `user@host`, as it stands in a fleet's events.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The user and the machine, as far as they are known.
pub fn actor() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME")).or_else(account);
    format!("{}@{}", user.unwrap_or_else(|| "unknown".to_owned()), host())
}

/// The account that this process runs under; by its number where it has no name, as in containers.
fn account() -> Option<String> {
    let number = fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|fields| match fields[..] {
        [name, _, uid, ..] if uid == number => Some(name.to_owned()),
        _ => None,
    });
    Some(name.unwrap_or(number))
}

/// This machine's name.
pub fn host() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}
