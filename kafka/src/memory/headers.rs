//! Headers that live as long as the process, so that a source can lend them beside the record it holds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::record::Header;

type Owned = Vec<(Vec<u8>, Option<Vec<u8>>)>;

static KEPT: Mutex<BTreeMap<Owned, &'static [Header<'static>]>> = Mutex::new(BTreeMap::new());

/// The same headers, kept for good. A source that owned both the bytes and the slice that points into them would
/// borrow from itself; tests use few different headers, so keeping each kind once costs little.
pub(super) fn keep(headers: &[Header<'_>]) -> &'static [Header<'static>] {
    if headers.is_empty() {
        return &[];
    }
    let owned: Owned = headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.entry(owned).or_insert_with(|| {
        let bytes = |bytes: &[u8]| -> &'static [u8] { Box::leak(bytes.into()) };
        headers
            .iter()
            .map(|header| Header { name: bytes(header.name), value: header.value.map(bytes) })
            .collect::<Vec<_>>()
            .leak()
    })
}
