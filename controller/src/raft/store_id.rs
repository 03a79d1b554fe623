//! Whose data directory it is: a random id made with the directory, and the node it was made for.

use std::path::Path;

use ulid::Ulid;

use super::medium::Medium;
use super::settings::OpenError;

const FILE: &str = "store";
const FIRST_LINE: &str = "replisome-store 1";

/// Whose data directory it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StoreId {
    /// The node it was made for.
    pub node: u64,
    /// The directory's own id. Another directory is another store, also under the same node id.
    pub store: String,
}

impl StoreId {
    /// Whether the directory has one.
    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Reads it, if there is one.
    pub fn read(medium: &dyn Medium, dir: &Path) -> Result<Option<Self>, OpenError> {
        let bytes = medium.read_file(FILE).map_err(|error| OpenError::Io {
            dir: dir.into(),
            doing: "reading the file `store`",
            error,
        })?;
        let Some(bytes) = bytes else { return Ok(None) };
        match parse(&String::from_utf8_lossy(&bytes)) {
            Some(id) => Ok(Some(id)),
            None => Err(OpenError::Refused {
                dir: dir.into(),
                problem: format!(
                    "its file `{FILE}` is not one that this version writes; it must begin with `{FIRST_LINE}`: restore \
                     it, or use the version that wrote it"
                ),
            }),
        }
    }

    /// Makes a new one.
    pub fn create(medium: &dyn Medium, dir: &Path, node: u64) -> Result<Self, OpenError> {
        let id = Self { node, store: Ulid::generate().to_string() };
        let text = format!("{FIRST_LINE}\nnode {node}\nid {}\n", id.store);
        medium.replace_file(FILE, &[text.as_bytes()]).map_err(|error| OpenError::Io {
            dir: dir.into(),
            doing: "writing the file `store`",
            error,
        })?;
        Ok(id)
    }
}

fn parse(text: &str) -> Option<StoreId> {
    let mut lines = text.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let node = lines.next()?.strip_prefix("node ")?.parse().ok()?;
    let store = lines.next()?.strip_prefix("id ")?;
    Ulid::from_string(store).ok()?;
    Some(StoreId { node, store: store.to_owned() })
}
