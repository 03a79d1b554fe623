//! The way to a controller, on which single processes can be cut off, as a firewall that drops packets does. Owns the
//! connections that go through it; never looks into what they carry.
//!
//! What a process sends while it is cut off arrives when the way is mended, as TCP delivers it after an outage.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;

/// How often the kernel's table is looked through for one socket.
const LOOKS_MAX: usize = 10;

/// A port that leads to another one.
#[derive(Debug)]
pub struct Relay {
    address: String,
    way: Arc<Way>,
}

/// Who is cut off now.
#[derive(Debug, Default)]
struct Way {
    cut: Mutex<BTreeSet<u32>>,
    mended: Condvar,
    open: Mutex<Vec<Weak<Carried>>>,
}

/// A connection that goes through.
#[derive(Debug)]
struct Carried {
    from: SocketAddr,
    /// Its end here: the kernel lets other connections begin at the same port, as long as they lead elsewhere.
    to: SocketAddr,
    /// Whose it is. Looked up only while somebody is cut off: that takes a while on a busy machine.
    process: OnceLock<u32>,
}

impl Relay {
    /// A way to `address`. Its threads end with the test.
    pub fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("bound").to_string();
        let (way, target) = (Arc::new(Way::default()), address.to_owned());
        thread::spawn({
            let way = Arc::clone(&way);
            move || {
                for incoming in listener.incoming() {
                    let (way, target) = (Arc::clone(&way), target.clone());
                    // Whoever finds nobody there dials again.
                    thread::spawn(move || incoming.and_then(|incoming| carry(&way, &incoming, &target)));
                }
            }
        });
        Self { address: own, way }
    }

    /// Where it begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Holds back all that this process sends and is sent, on old connections and on new ones.
    pub fn cut_off(&self, pid: u32) {
        self.way.cut().insert(pid);
        // Now, since a process that dies while it is cut off is not heard to end.
        for carried in self.way.open().iter().filter_map(Weak::upgrade) {
            let _ = carried.process();
        }
    }

    /// Lets everything through again, and what was held back first.
    pub fn mend(&self) {
        self.way.cut().clear();
        self.way.mended.notify_all();
    }
}

impl Way {
    /// Waits while the process whose connection this is is cut off. One whose process is not found could not be cut, so it
    /// ends.
    fn wait_for(&self, carried: &Carried) -> io::Result<()> {
        if self.cut().is_empty() {
            return Ok(());
        }
        let pid = carried.process()?;
        drop(self.mended.wait_while(self.cut(), |cut| cut.contains(&pid)));
        Ok(())
    }

    fn cut(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, Vec<Weak<Carried>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carried {
    fn process(&self) -> io::Result<u32> {
        match self.process.get() {
            Some(pid) => Ok(*pid),
            None => process_at((self.from, self.to)).map(|found| *self.process.get_or_init(|| found)),
        }
    }
}

/// Carries one connection to its end.
fn carry(way: &Way, incoming: &TcpStream, target: &str) -> io::Result<()> {
    let carried =
        Arc::new(Carried { from: incoming.peer_addr()?, to: incoming.local_addr()?, process: OnceLock::new() });
    {
        let mut open = way.open();
        open.retain(|carried| carried.strong_count() > 0);
        open.push(Arc::downgrade(&carried));
    }
    way.wait_for(&carried)?;
    let outgoing = TcpStream::connect(target)?;
    thread::scope(|scope| {
        scope.spawn(|| pass(way, &carried, incoming, &outgoing));
        pass(way, &carried, &outgoing, incoming);
    });
    Ok(())
}

/// Passes on what comes from one side until it ends, and tells the other side so.
fn pass(way: &Way, carried: &Carried, mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if way.wait_for(carried).and_then(|()| to.write_all(&buffer[..len])).is_err() {
            break;
        }
    }
    // The end of a connection is not heard of either; one whose process is gone has nobody to hear it.
    let _ = way.wait_for(carried);
    let _ = to.shutdown(Shutdown::Both);
}

/// The process that holds the far end of a connection. A connection whose process is not found could not be cut, so it is none.
fn process_at(connection: (SocketAddr, SocketAddr)) -> io::Result<u32> {
    // The kernel hands its table out in pieces: a row that is there may be missed while others come and go.
    let found = (0..LOOKS_MAX).find_map(|_| process_in_table(connection));
    found.ok_or_else(|| io::Error::other(format!("no process holds {}", connection.0)))
}

/// What the kernel's table shows at one look: it names the socket's inode, the process's descriptors name it too.
fn process_in_table(connection: (SocketAddr, SocketAddr)) -> Option<u32> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let link = format!("socket:[{}]", inode(&table, connection)?);
    let has_it = |pid: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        links.any(|found| found.as_os_str().as_bytes() == link.as_bytes())
    };
    let entries = fs::read_dir("/proc").ok()?.flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(has_it)
}

/// The inode of the socket at the far end of a connection, in the text of `/proc/net/tcp`.
fn inode(table: &str, (from, to): (SocketAddr, SocketAddr)) -> Option<&str> {
    let ends = [from, to].map(|end| format!("0100007F:{:04X}", end.port()));
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = ends.iter().all(|end| fields.next() == Some(end));
        fields.nth(6).filter(|_| is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_connections_from_one_port_the_one_that_leads_here_is_meant() {
        let row =
            |to, inode| format!("   7: 0100007F:9C40 0100007F:{to} 01 0:0 00:0 0 0 0 {inode} 1 0000 20 4 30 10 -1\n");
        let table = format!("  sl  local_address rem_address st\n{}{}", row("2384", 11), row("1CE9", 22));
        let (from, to) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:7401".parse().unwrap());
        assert_eq!(inode(&table, (from, to)), Some("22"));
        assert_eq!(inode(&table, (to, from)), None);
    }
}
