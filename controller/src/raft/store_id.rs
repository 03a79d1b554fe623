//! Whose data directory it is: a random id made with the directory, and the node it was made for.

use std::path::Path;

use ulid::Ulid;

use super::checksum;
use super::data_dir::lost;
use super::medium::Medium;
use super::settings::OpenError;

const FILE: &str = "store";
const FIRST_LINE: &str = "replisome-store 2";

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
    pub fn read(medium: &dyn Medium, dir: &Path, node: u64) -> Result<Option<Self>, OpenError> {
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
                    "its file `{FILE}` is damaged, or not one that this version writes (it must begin with \
                     `{FIRST_LINE}`): restore it, or use the version that wrote it; {}",
                    lost(node)
                ),
            }),
        }
    }

    /// A new one.
    pub fn generate(node: u64) -> Self {
        Self { node, store: Ulid::generate().to_string() }
    }

    /// The file's content.
    fn text(&self) -> String {
        let Self { node, store } = self;
        let content = format!("{FIRST_LINE}\nnode {node}\nid {store}\n");
        let sum = u32::from_le_bytes(checksum::of(content.as_bytes()));
        format!("{content}sum {sum:08x}\n")
    }

    /// Makes it the directory's.
    pub fn save(&self, medium: &dyn Medium, dir: &Path) -> Result<(), OpenError> {
        medium.replace_file(FILE, &[self.text().as_bytes()]).map_err(|error| OpenError::Io {
            dir: dir.into(),
            doing: "writing the file `store`",
            error,
        })
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
    let id = StoreId { node, store: store.to_owned() };
    // A damaged number is a number, too.
    (id.text() == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damage_makes_it_the_directory_of_another() {
        let id = StoreId::generate(1);
        let text = id.text();
        assert_eq!(parse(&text), Some(id));
        for place in 0..text.len() {
            assert_eq!(parse(&text[..place]), None, "cut at {place}");
            for bit in 0..7 {
                let mut damaged = text.clone().into_bytes();
                damaged[place] ^= 1 << bit;
                let damaged = String::from_utf8(damaged).expect("it is ASCII");
                assert_eq!(parse(&damaged), None, "{damaged}");
            }
        }
    }
}
